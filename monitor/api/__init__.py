"""HTTP endpoints. They read the roster and the stored states. They run no checks and import no kind."""

from monitor.lib import extras

extras.require("web", "monitor.api")
