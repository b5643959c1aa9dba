// Package figure computes the drawings of the portal: the exposure timeline, the
// ladder of the overview and the axis of a receipt's confirmations.
//
// It owns geometry: instants and spans become percents for what stretches, pixels
// for what does not, and words where a picture needs them; templates of package
// portal write them as SVG. It leaves to the portal what is drawn and what each
// thing's state is called. It promises one scale within a drawing, and no position
// outside of it.
//
// Trust: names are passed through and escaped by the template; everything else is
// arithmetic.
package figure
