// Package device knows browsers again. A person registers the browser they are
// signed in with; from then on their sign-ins there are recognised, and policies,
// tokens and cutoffs can go by the device.
//
//	register:   challenge ─► the browser makes a key pair and signs ─► the public
//	            key is kept, a cookie names the device, the session is bound to it
//	recognise:  challenge, for who has the cookie ─► signed with that key ─► the
//	            session is bound to the device
//	over:       disabled, reported lost or deleted ─► one cutoff of the device;
//	            enabled again: only new sign-ins there are recognised
//
// It owns what is signed, the challenges (tickets with a birth, good once), the
// cookie's contents, and the verbs on devices. The rows, and what follows from
// their changes, are the store's.
//
// It promises: nobody is recognised without the key, whatever cookies they hold,
// nor with a signature that was used before, was made for another origin, or for a
// challenge of another browser; nor anybody but the person who registered it. A
// session is bound to one device at most, and never outlives what that device was
// cut for. Not to be recognised never helps: policies take it for not known.
//
// It leaves to others: what a policy makes of a device (internal/policy), what is
// said of it as compliant (administrators, or what manages devices, through this
// room), the page and its script (internal/web/device).
//
// Trust: the key pair is made by the browser and cannot be exported by scripts.
// Whoever controls the operating system, or the browser's profile on disk, can copy
// it: a registered browser is no attested hardware. The platform is what the
// browser says. A session is bound when it is proven, not at each request: whoever
// copies the session's cookie later is on that device until the session ends, as
// they are that person. Whoever controls the database can say that any session is on
// any device, and that it is compliant.
package device
