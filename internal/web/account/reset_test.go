package account

func resets(put func(string) func([]byte, error)) {
	f := Forgot{Flow: flow("Set a new password", "/forgot")}
	put("forgot")(forgotPage.HTML(f))
	f.Error = "Type your user name"
	put("forgot-bad")(forgotPage.HTML(f))
	put("sent")(sentPage.HTML(Sent{Frame: frame("Look into your mail"), UserName: "ada@contoso.example", Minutes: 30, AgainURL: "/forgot", SignInURL: "/signin"}))
	n := NewPassword{Flow: flow("Set a new password", "/reset"), UserName: "ada@contoso.example", MinLength: 12}
	put("new-password")(newPasswordPage.HTML(n))
	n.NewError, n.RepeatError = "The password is too short: at least 12 characters", "Not the same"
	put("new-password-bad")(newPasswordPage.HTML(n))
	put("was-reset")(resetPage.HTML(WasReset{Frame: frame("The password was changed"), SignInURL: "/signin"}))
}
