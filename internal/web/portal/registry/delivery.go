package registry

import (
	"cmp"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/deliver"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// The words of the verbs on deliveries in the addresses.
const (
	WakeRecipient = "try-now"
	RetryLetter   = "try-again"
	DropLetter    = "drop"
)

// Recipients is the card of the applications that are told, the failing ones first.
// head is the ledger's, if it is known.
func (p Page) Recipients(all []deliver.Recipient, head cutoff.Pos, known bool, address func(string) string) Card {
	card := Card{Title: "Applications that are told", Hint: webkit.Num(len(all)), Empty: "No application is told of logouts. Give one a back-channel logout address.",
		Note:  "Each reads the ledger at its own pace. One that is down holds up nobody, and hears of what it missed for a day; then it is a dead letter.",
		Table: NewTable("Applications that are told", "Application", "Asked at", "State", ">Ledger", ">Behind by", "Next try", ">Dead letters")}
	for _, failing := range []bool{true, false} {
		for _, r := range all {
			if (r.State == deliver.Failing) != failing {
				continue
			}
			state, behind, next := Cell{Mark: Mark{"ended", "t-ok", "Up to date"}}, Text(""), Text("")
			if known && r.State != deliver.UpToDate && head > r.Pos {
				behind = Text(webkit.Count(int(head-r.Pos), "line", "lines"))
			}
			if r.State == deliver.UpToDate {
				behind = Cell{Text: "0", Soft: true}
			}
			var acts []Button
			switch r.State {
			case deliver.Waiting:
				state = Cell{Mark: Mark{"waiting", "t-3", "On its way"}}
			case deliver.Failing:
				state = Cell{Mark: Mark{"failed", "t-danger", "Failing since " + p.When(r.Failing)}, Sub: webkit.Count(r.Attempts, "attempt", "attempts") + ". " + r.Error, Wrap: true}
				next, acts = Text(p.Sec(r.Next)), []Button{p.Offer(WakeRecipient, string(r.App))}
			}
			dead := Cell{Text: "0", Soft: true}
			if r.DeadLetters > 0 {
				dead = Text(webkit.Num(r.DeadLetters))
			}
			card.Table.Add(cmp.Or(r.Name, string(r.App)), acts, Cell{Text: cmp.Or(r.Name, string(r.App)), URL: address(string(r.App))}, Mono(r.Host), state, Text(webkit.Num(int64(r.Pos))), behind, next, dead)
		}
	}
	return card
}

// Letter is a dead letter with the names of what it is about.
type Letter struct {
	deliver.Letter
	AppName string
	// Whose is the name of the person; empty: more than one, or unknown.
	Whose string
	// Act is what happened, in words.
	Act string
}

// What is what the application was not told.
func (l Letter) What() string {
	whose := cmp.Or(l.Whose, l.User.String())
	switch {
	case l.Rest && l.User.IsZero():
		return "everybody whom that line ended"
	case l.Rest:
		return "everybody whom that line ended, after " + whose
	case l.Session != "":
		return "one session of " + whose
	}
	return "all sessions of " + whose
}

// Letters is the card of what was given up.
func (p Page) Letters(all []Letter) Card {
	card := Card{Title: "Dead letters", Empty: "Nothing was given up.", Table: NewTable("Dead letters", "Application", "Not told of", "Happened", ">Ledger", "Given up", "Why")}
	if len(all) > 0 {
		card.Note = "What these applications were not told. Their own sessions of these people may still be open: that is unknown. Grants and access tokens ended all the same."
	}
	for _, l := range all {
		what := Cell{Text: l.What(), Wrap: true}
		if !l.Rest {
			what.URL = p.Person(l.User)
		}
		happened := Text(l.Act)
		if !l.Cut.IsZero() {
			happened.Sub = p.When(l.Cut)
		}
		card.Table.Add("to "+cmp.Or(l.AppName, string(l.App)), []Button{p.Offer(RetryLetter, l.ID.String()), p.Offer(DropLetter, l.ID.String())},
			Text(cmp.Or(l.AppName, string(l.App))), what, happened, Text(webkit.Num(int64(l.Pos))), Text(p.When(l.GivenUp)), Cell{Text: l.Error, Sub: "after " + webkit.Count(l.Attempts, "attempt", "attempts"), Wrap: true})
	}
	return card
}

// AskWake is the question about a failing application.
func AskWake(r deliver.Recipient) Question {
	return Question{Title: "Try " + cmp.Or(r.Name, string(r.App)) + " now?", Undo: "If it fails, it goes on waiting.", Intro: "The last of " + webkit.Count(r.Attempts, "attempt", "attempts") + " failed: " + r.Error,
		Rest: []Line{{true, r.Host, "is asked now", "Instead of when its wait is over."}, stays("What it was told already", "is not told again", "")}}
}

// AskRetry is the question about a dead letter.
func AskRetry(l Letter) Question {
	return Question{Title: "Tell " + cmp.Or(l.AppName, string(l.App)) + " again?", Undo: "If it fails, the letter stays.", Intro: "It was not told of the end of " + l.What() + ".",
		Rest: []Line{{true, "The application", "is asked now", "As the notice would read today: it names the sessions that ended, never those begun since."}, stays("The letter", "stays until it is confirmed", "")}}
}

// AskDrop is the question about a dead letter.
func AskDrop(l Letter) Question {
	return Question{Title: "Never tell " + cmp.Or(l.AppName, string(l.App)) + "?", Reasoned: true, Intro: "It was not told of the end of " + l.What() + ".",
		Rest: []Line{stays("Its own session", "may live on", "Nobody will tell it any more. It ends when the application ends it."), stays("Grants and access tokens", "have ended", "They do not hang on this notice.")}}
}

// Failing is how many recipients fail.
func Failing(all []deliver.Recipient) (n int) {
	for _, r := range all {
		if r.State == deliver.Failing {
			n++
		}
	}
	return n
}
