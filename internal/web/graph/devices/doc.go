// Package devices answers about devices under Microsoft's names: /devices,
// registeredDevices and ownedDevices of people. What only curfew can say of them
// (lost) is under /curfew.
//
// It owns the wire form of a device. It leaves to internal/device who may see and
// change what, and to internal/web/graph/api who calls.
//
// A device has one owner, who is also the only person registered on it; object id
// and deviceId are the same.
//
// Trust: as internal/web/graph/api. The operating system is what a browser said.
package devices
