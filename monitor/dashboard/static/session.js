// Exchange of the code in a link for a session. Removes the code from the address before any other script runs.
{
  const OUTCOMES = {
    over: "The link is older than ten minutes.",
    used: "The link has been used before.",
    no_code: "The link is not for this server, or the server's token has changed.",
    unavailable: "This server accepts no links: it has no token or no data directory.",
  };
  const exchange = () => {
    const code = /^#([A-Za-z0-9_-]{51})$/.exec(location.hash)?.[1];
    if (!code) return;
    history.replaceState(null, "", location.pathname + location.search);
    if (document.documentElement.dataset.refused === undefined) return;
    const outcome = document.getElementById("outcome");
    fetch("session", { method: "POST", body: code, headers: { "Content-Type": "text/plain" } })
      .then(async (response) => {
        if (response.ok) location.reload();
        else outcome.textContent = `${OUTCOMES[(await response.json()).error] ?? "The link was refused."} Run “monitor open” to get a new link.`;
      })
      .catch(() => { outcome.textContent = "The server does not answer. Reload this page."; });
  };
  exchange();
  addEventListener("hashchange", exchange);  // the browser does not load the page again for a new link in the same tab
}
