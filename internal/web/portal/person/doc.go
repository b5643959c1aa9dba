// Package person is what hangs on one person, on the profile: their methods, by which
// they prove who they are beside the password, and their devices.
//
// It owns the tabs, and the confirmations of what an administrator does there: take a
// method away, take all of them away, give a temporary access pass, cut a device. It promises what
// package desk promises, and that a pass is shown once, in the answer to the post
// itself.
//
// It leaves to packages factor and device who may do it and what ends with it, and to package
// portal the rest of the profile.
//
// Trust: names of methods come from their owners; they are escaped.
package person
