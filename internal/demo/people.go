package demo

// people are the others of contoso.example: user name, name, title, department.
const people = `
alan,Alan Turing,Cryptanalyst,Research
barbara,Barbara Liskov,Principal engineer,Research
bela,Béla Julesz,Vision scientist,Research
carol,Carol Shaw,Game developer,Products
claude,Claude Shannon,Information scientist,Research
donald,Donald Knuth,Author,Products
edsger,Edsger Dijkstra,Architect,Research
emmy,Emmy Noether,Mathematician,Research
frances,Frances Allen,Compiler engineer,Products
hedy,Hedy Lamarr,Radio engineer,Products
jean,Jean Bartik,Programmer,Operations
john,John Backus,Language designer,Products
katherine,Katherine Johnson,Flight analyst,Operations
ken,Ken Thompson,Systems programmer,Operations
kurt,Kurt Gödel,Logician,Research
margaret,Margaret Hamilton,Flight software lead,Operations
niklaus,Niklaus Wirth,Language designer,Products
radia,Radia Perlman,Network engineer,Operations
sophie,Sophie Wilson,Chip designer,Products
tim,Tim Berners-Lee,Web engineer,Operations
tony,Tony Hoare,Verification engineer,Research
`

// What the applications have.
var (
	mailRows = [][3]string{
		{"Charles Babbage", "Re: the engine, second drawing", "09:41"},
		{"Grace Hopper", "Badge for the new building", "09:12"},
		{"Margaret Hamilton", "Review of the landing checklist", "08:55"},
		{"Payroll", "Your statement for February", "08:02"},
		{"Alan Turing", "Lunch on Thursday?", "07:49"},
	}
	driveRows = [][3]string{
		{"Notes on the engine.odt", "Research", "today"},
		{"Bernoulli numbers.ods", "Research", "yesterday"},
		{"Budget, draft 3.ods", "Shared with me", "27 Feb"},
		{"Contract with Fabrikam.pdf", "Shared with me", "19 Feb"},
	}
	reportRows = [][3]string{
		{"Turin, conference", "paid", "812.40"},
		{"Books", "approved", "96.10"},
		{"Punched cards, 10,000", "open", "310.00"},
	}
)
