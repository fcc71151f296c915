"""Places, besides the store, in which `monitor uninstall` finds and removes what the monitor has stored."""
