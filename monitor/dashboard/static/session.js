// Exchanges the code of a link for a session, and takes the code out of the address. A classic script, before all others.
{
  const OUTCOMES = {
    over: "The link is older than ten minutes.",
    used: "The link has been used before.",
    no_code: "The link is not of this server, or its token has changed.",
    unavailable: "This server takes no links: it has no token or no data directory.",
  };
  const exchange = () => {
    const code = /^#([A-Za-z0-9_-]{51})$/.exec(location.hash)?.[1];
    if (!code) return;
    history.replaceState(null, "", location.pathname + location.search);
    if (document.documentElement.dataset.refused === undefined) return;
    const outcome = document.getElementById("outcome");
    fetch("session", { method: "POST", body: code, headers: { "Content-Type": "text/plain" } })
      .then(async (answer) => {
        if (answer.ok) location.reload();
        else outcome.textContent = `${OUTCOMES[(await answer.json()).error] ?? "The link was refused."} Run monitor open for another.`;
      })
      .catch(() => { outcome.textContent = "The server does not answer. Reload this page."; });
  };
  exchange();
  addEventListener("hashchange", exchange);  // a new link in the same tab loads no page
}
