"""History endpoints: status, series, uptime and events. Only they wait for the store."""
