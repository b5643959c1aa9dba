package policy

// MethodsOf are the methods that an amr of ours stands for. What another identity
// provider says of itself, after "fed", is one factor, whatever it says; a word that
// is not known stands for nothing.
func MethodsOf(amr []string) (m Methods) {
	for _, x := range amr {
		switch x {
		case "pwd":
			m |= Password.Set()
		case "otp":
			m |= SoftwareOTP.Set()
		case "fido":
			m |= Passkey.Set()
		case "tap":
			m |= PassOnce.Set()
		case "tapm":
			m |= PassMulti.Set()
		case "rc":
			m |= RecoveryCode.Set()
		case "fed":
			return m | FederatedSingle.Set()
		}
	}
	return m
}
