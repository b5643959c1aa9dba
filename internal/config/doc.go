// Package config holds the one configuration struct: what an operator can say,
// with its defaults, its checks and its reference page.
//
// A value comes from a flag, else from the environment, else from one TOML file,
// else from the default. Unknown keys refuse to start. Secrets are named by file
// or environment, never written into the configuration itself.
package config
