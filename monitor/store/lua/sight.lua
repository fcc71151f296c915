-- sight: KEYS beacons heartbeats notes
-- Returns clock, notes, and then the hashes of beacons and of heartbeats as lists of field and value by turns.

sound(KEYS[1], 'hash')
sound(KEYS[2], 'hash')
sound(KEYS[3], 'string')
return {text(clock()), redis.call('GET', KEYS[3]) or '', redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2])}
