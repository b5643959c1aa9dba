// The server says when access has ended; the page shows what it then says.
const live = new EventSource("/live");
live.addEventListener("ended", () => location.reload());
