// Package egress is the one way out to addresses that somebody else chose: the
// logout address of an application, the keys of a client, another identity
// provider.
//
// Whoever may write such an address must not be able to make this server ask its
// own network (SSRF). So a [Client] speaks https only, resolves the name itself,
// refuses the whole name when one of its addresses is not on the public
// internet, and dials the very address it has judged: there is no second look at
// the DNS in which the answer could change. It follows no redirect, uses no
// proxy, sends no cookie, and reads a bounded answer within a bounded time.
//
// The operator can open networks and hosts ([Allow]). Loopback that is opened may
// also be asked by plain http. The addresses where clouds hand out the machine's
// own credentials stay closed whatever is opened.
//
// Every error is a fault whose sentence names the rule or says that the server
// did not answer; it holds neither the answer nor the path and query asked for.
//
// Trust: the DNS, and whoever holds the certificate of the name. An answer is
// other people's text: whoever reads it parses it as such.
package egress
