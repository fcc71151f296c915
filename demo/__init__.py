"""``make demo``: the page over a made-up shop, with a past, a bad night and an incident that begins a minute after it.

Nothing of it ships: the package does not know it. ``story`` says what went wrong and when, ``shop`` what there is to
watch and its numbers, ``fleet`` and ``kafka`` the workers and consumer groups; these are pure functions of a seed and
a time. ``past`` and ``present`` write them into the store, by the store's own ways; ``tree`` starts and ends it all.
"""
