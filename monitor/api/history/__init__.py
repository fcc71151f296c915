"""What dashboards ask: the present at once, and the past. The only part of the API that waits for the store."""
