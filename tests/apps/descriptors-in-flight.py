# Sends descriptors to itself and never takes them: as many as its argument says are under way while it lives.
import os
import socket
import sys
import time

here, there = socket.socketpair()
null = os.open("/dev/null", os.O_RDONLY)
left = int(sys.argv[1])
while left > 0:
    socket.send_fds(here, [b"x"], [null] * min(left, 200))
    left -= 200
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.connect(os.environ["NOTIFY_SOCKET"])
notify.send(b"READY=1")
time.sleep(3600)
