package policy

// Here reports whether the verdict on f, which is v, hangs on where f comes from:
// whether, from another address, something might be blocked, asked for, or over
// sooner. What is told of the device, the risks and the time do not count: they may
// change while the address does not. In doubt it does.
func (s *Set) Here(f *Facts, v *Verdict) bool {
	live := s.on.and(s.placed)
	for _, of := range [...]int{ofUsers, ofApps, ofClient, ofPlatform, ofFlow} {
		live = live.less(v.ruled[of])
	}
	if live.empty() {
		return false
	}
	bites, given := s.blocks, s.given(f)&^deviceBits
	for i := range s.asks {
		if x := &s.asks[i]; x.needs&^given != 0 && !(x.any && x.needs&given != 0) {
			bites = bites.or(x.by)
		}
	}
	for i := range s.rates {
		bites = bites.or(s.rates[i].by)
	}
	live = live.and(bites)
	for i := live.next(0); i >= 0; i = live.next(i + 1) {
		// One about everywhere, or about places of which there are none, looks at no
		// address.
		in, ex := &s.in[i], &s.ex[i]
		if nowhere := len(in.ranges)+len(in.countries) == 0; !nowhere && !in.all || in.all && (ex.all || len(ex.ranges)+len(ex.countries) > 0) {
			return true
		}
	}
	return false
}
