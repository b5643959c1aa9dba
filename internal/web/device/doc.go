// Package device is where browsers are registered as somebody's device and known
// again.
//
//	/account/devices/register   a page with a form and a script: the script makes a
//	                            key that cannot be exported, keeps it in the
//	                            browser's own store, and signs
//	/account/devices/recognise  a page on the way from signing in to where somebody
//	                            was going, for browsers that have the cookie
//
// It owns the cookie of devices, the two pages and what their script posts (JSON, of
// this origin only).
//
// It promises: without script, without the key, or when anything goes wrong, the
// browser is not recognised, the person goes on all the same, and policies decide.
// Nothing is registered without a click.
//
// It leaves to internal/device what a proof is worth and what ends; to
// internal/web/pages who is behind the session's cookie; the list of somebody's
// devices, and what they say became of them, is internal/web/account's.
//
// Trust: the cookie names devices and proves nothing. The script runs with the
// origin's rights: whoever can run script here can sign with the key while the page
// is open, and can never take it away.
package device
