"""Another user of the machine, who wants to be taken for a check process. Uses the standard library only.

Started by root, since the interpreter may be where nobody else can read; it gives up all rights before anything else.
``intruder.py find`` connects to every unix socket that has a name, and prints the ids of the processes that listen.
``intruder.py answer VICTIM NAME...`` listens at the names, and answers every request with "ok" and VICTIM's process id.
"""

import json
import os
import pwd
import socket
import struct
import sys
import threading
from pathlib import Path


def find() -> None:
    """Connect to all that can be found in the list of sockets and in command lines."""
    sockets = Path("/proc/net/unix").read_text(errors="surrogateescape").splitlines()
    names = {line.split(maxsplit=7)[7] for line in sockets if len(line.split()) > 7}
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            names |= set(command.read_text(errors="surrogateescape").split("\0"))
        except OSError:
            continue
    listening = set()
    for name in names:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            try:
                client.connect("\0" + name[1:] if name.startswith("@") else name)
                peer = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
                listening.add(struct.unpack("3i", peer)[0])
            except (OSError, ValueError):
                continue
    print(json.dumps(sorted(listening)))


def answer(victim: int, names: list[str]) -> None:
    """Be the check process of whoever connects."""
    for name in names:
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind("\0" + name[1:] if name.startswith("@") else name)
        except (OSError, ValueError):
            continue
        listener.listen()
        threading.Thread(target=_serve, args=(listener, victim)).start()
    print("ready", flush=True)


def _serve(listener: socket.socket, victim: int) -> None:
    while True:
        client, _ = listener.accept()
        _say(client, {"pid": victim})
        client.recv(65536)
        _say(client, [1.0, ["ok", {}, None, None, {}, False, []], {}, None])


def _say(client: socket.socket, words: object) -> None:
    body = json.dumps(words).encode()
    client.sendall(struct.pack("!i", len(body)) + body)


def give_up_rights() -> None:
    """Be the user `nobody`."""
    user = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)


if __name__ == "__main__":
    give_up_rights()
    if sys.argv[1] == "find":
        find()
    else:
        answer(int(sys.argv[2]), sys.argv[3:])
