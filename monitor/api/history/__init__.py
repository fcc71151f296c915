"""History endpoints: status, series, uptime and events. No other endpoint waits for the store."""
