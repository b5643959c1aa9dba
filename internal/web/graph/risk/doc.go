// Package risk answers about risk under Microsoft's names: /identityProtection, with
// riskyUsers, their history, confirm and dismiss, and riskDetections. The rules, which
// Graph does not have, are under /curfew/riskRules.
//
// It owns the wire form of accounts at risk and of findings. It leaves to
// internal/watch who may see and do what, and to internal/web/graph/api who calls.
//
// Trust: as internal/web/graph/api.
package risk
