#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Shows torpor at work: a thousand sites, of which those run that somebody visits. ./run demo calls it."""
import argparse
import http.client
import os
import signal
import statistics
import sys
import textwrap
import time

from box import BUILD, REPOSITORY, WWW, Box, Trouble, check_machine

COLD_SITES = 1000
VISITED = [f"site-{number:04}.localhost" for number in range(31, COLD_SITES, 33)]  # 30 of them
KINDS = {"static.localhost": "static", "php.localhost": "php", "node.localhost": "node",
         "python.localhost": "gunicorn"}
COUNTING = ["php.localhost", "node.localhost", "python.localhost"]
FREEZE_SECONDS, STOP_SECONDS = 2, 8
WAIT_SECONDS = 30


class Interrupted(BaseException):
    """A signal to end, other than Ctrl-C."""


def say(text=""):
    print(text, flush=True)


def title(text):
    bold = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    say()
    say(f"\033[1m{text}\033[0m" if bold else text)
    if not bold:
        say("-" * len(text))


def milliseconds(seconds):
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"


def megabytes(count):
    return f"{count / 1024 / 1024:.1f} MB"


class Visitor:
    """Asks over HTTP, through the front web server, with a connection of its own each time."""

    def __init__(self, port):
        self.port = port
        self.asked = 0

    def visit(self, site):
        """The answer's text, and the seconds from connecting to its last byte. Any other answer is an error."""
        started = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_SECONDS)
        try:
            connection.request("GET", "/", headers={"Host": site})
            response = connection.getresponse()
            text = response.read().decode().strip()
        except (OSError, http.client.HTTPException) as error:
            raise Trouble(f"http://{site}/ did not answer: {error!r}") from error
        finally:
            connection.close()
        took = time.monotonic() - started
        self.asked += 1
        if response.status != 200:
            raise Trouble(f"http://{site}/ answered {response.status} {response.reason}")
        return text.removeprefix("<p>").removesuffix("</p>"), took


class Demo:
    def __init__(self, box):
        self.box = box
        self.visitor = Visitor(box.port)
        self.figures = {}
        self.told = False  # all of it was shown: Ctrl-C is how it ends

    def prepare(self):
        """Real sites, each from a shipped template, and a thousand that nobody has visited yet."""
        box, quick = self.box, {"FreezeAfterSec": f"{FREEZE_SECONDS}s", "StopAfterSec": f"{STOP_SECONDS}s"}
        box.write_shipped()
        for site, template in KINDS.items():
            for file in (WWW / site).iterdir():
                box.write(box.www / site / file.name, file.read_text())
            box.write_site(site, template, FreezeAfterSec=f"{FREEZE_SECONDS}s",
                           **({} if site in COUNTING else {"StopAfterSec": f"{STOP_SECONDS}s"}))
        for number in range(COLD_SITES):
            site = f"site-{number:04}.localhost"
            box.write(box.www / site / "index.html", f"<p>This is {site}.</p>\n")
            box.write_site(site, "static", **quick)
        box.write_front(["php.localhost"])

    def start(self):
        box = self.box
        title(f"1. {COLD_SITES + len(KINDS):,} sites, none of them running")
        say("Every site is a small file. This is the one of python.localhost:")
        say()
        for line in (box.etc / "sites/python.localhost.site").read_text().splitlines():
            if line:
                say(f"    {line.replace(str(box.folder), '/tmp/...')}")
        say()
        took = box.start()
        host = box.host()
        if host["file_errors"]:
            raise Trouble(f"files were refused: {host['file_errors'][:3]}")
        before = box.torpord_cpu_us()
        time.sleep(1)  # a measurement, not a wait
        cpu_us, memory = box.torpord_cpu_us() - before, box.torpord_bytes()
        self.figures.update(listeners=host["listeners"], torpord=memory, sites=host["sites"])
        say(f"torpord read them all and listens on {host['listeners']:,} sockets after {milliseconds(took)}.")
        say(f"It takes {megabytes(memory)} of memory, and took {cpu_us / 1000:.1f} ms of CPU time in the last second.")

    def visit_cold(self):
        title("2. Visitors come, and wake what they visit")
        say("The first visit starts a container: its own files, processes and network, no")
        say("privileges. It takes over the very socket in which the visitor waits. All come")
        say("through a front web server, nginx, which is a site as well:")
        say()
        self.show("wake", "front")
        say()
        say("site              container  1st answer  2nd answer  it said at first")
        with self.box.events() as events:
            for site in KINDS:
                text, cold = self.visitor.visit(site)
                container = events.wait_event(site=site, to="awake")["took_us"] / 1e6
                _, warm = self.visitor.visit(site)
                self.figures[site] = cold
                say(f"{site:<17} {milliseconds(container):>9} {milliseconds(cold):>11} {milliseconds(warm):>11}"
                    f"  {text}")
            took = sorted(self.visitor.visit(site)[1] for site in VISITED)
        say()
        say(f"Then {len(took)} of the thousand, one after the other. Until the answer was there, it")
        say(f"took {milliseconds(statistics.median(took))} in the middle, {milliseconds(took[-1])} at worst.")
        self.figures["thousand"] = statistics.median(took)

    def show_list(self):
        title("3. What an administrator sees")
        self.show("list", "--state=awake", lines=12)
        awake = sum(state == "awake" for state in self.box.states().values()) - 1
        self.figures["awake"] = awake
        say()
        say(f"Awake are {awake} of {self.figures['sites'] - 1:,} sites ({awake / self.figures['sites']:.1%}), and the "
            "front web server.")

    def show(self, *arguments, lines=None):
        """A command and what it prints, or the beginning of that."""
        output = self.box.torporctl(*arguments).splitlines()
        say(f"$ torporctl {' '.join(arguments)}")
        if lines and len(output) > lines + 3:
            rest = len(output) - lines - 2
            output = [*output[:lines], f"({rest} more)", *output[-2:]]
        for line in output:
            say(line.rstrip())

    def freeze(self, events):
        """Everything was visited just now; waits until all is frozen."""
        title("4. Nobody comes any more: they freeze")
        say(f"After {FREEZE_SECONDS} s without a visitor a site of this demo is frozen: it stays in memory")
        say("as it is and takes no CPU time at all.")
        awake_bytes = {site: self.box.memory_bytes(site) for site in KINDS}
        began = time.monotonic()
        visited = [*KINDS, *VISITED]
        self.box.wait_all(events, visited, ["frozen"], WAIT_SECONDS)
        took = time.monotonic() - began
        self.memory = {site: [awake_bytes[site], self.box.memory_bytes(site)] for site in KINDS}
        cpu = {site: self.box.site_cpu_us(site) for site in COUNTING}
        say()
        say(f"All {len(visited)} were, {took:.1f} s later.")
        return cpu

    def thaw(self, cpu):
        title("5. A visitor comes back")
        say("The next connection lets a frozen site go on where it was: the counters")
        say("in its memory are still there.")
        say()
        say("site              CPU while frozen     answer  it said")
        for site in COUNTING:
            used = (self.box.site_cpu_us(site) - cpu[site]) / 1000
            text, took = self.visitor.visit(site)
            if not text.endswith(", visitor 3"):
                raise Trouble(f"{site} was frozen and did not keep its counter: {text}")
            self.figures.setdefault("thaws", []).append(took)
            say(f"{site:<17} {f'{used:.1f} ms':>16} {milliseconds(took):>10}  {text}")

    def stop(self, events):
        title("6. Nobody comes for longer: they stop")
        say(f"After {STOP_SECONDS} s the static sites of this demo are stopped. They were asked to end,")
        say("nothing of them is left but the socket, and nobody is refused.")
        self.box.wait_all(events, ["static.localhost", *VISITED], ["cold"], WAIT_SECONDS)
        say()
        say(f"All {len(VISITED) + 1} are. The others have longer; an administrator can say it too:")
        say()
        self.show("stop", *COUNTING)
        for site in KINDS:
            self.memory[site].append(self.box.memory_bytes(site))
        say()
        say("And from cold they wake again, anew:")
        say()
        say("site                  answer  it said")
        for site in (VISITED[0], *COUNTING):
            text, took = self.visitor.visit(site)
            if site in COUNTING and not text.endswith(", visitor 1"):
                raise Trouble(f"{site} was stopped and did not begin anew: {text}")
            say(f"{site:<19} {milliseconds(took):>8}  {text}")

    def summary(self):
        figures, sites = self.figures, self.figures["sites"] - 1
        title("In short")
        say("memory of           awake     frozen       cold")
        for site, amounts in self.memory.items():
            awake, frozen, cold = map(megabytes, amounts)
            say(f"{site:<16} {awake:>8} {frozen:>10} {cold:>10}")
        say("(what several sites share, such as programs' code, is counted in parts)")
        say()
        say(f"- {sites:,} sites could be visited all the time; {figures['awake']} at most were awake, which is")
        say(f"  {figures['awake'] / sites:.1%}. All others cost the {megabytes(figures['torpord'])} of torpord, "
            f"{figures['torpord'] / 1024 / sites:.1f} KB each.")
        slow = ", ".join(f"{milliseconds(figures[site])} ({name})" for site, name in
                         (("php.localhost", "PHP"), ("node.localhost", "Node.js"), ("python.localhost", "Python")))
        say(textwrap.fill(f"- A visitor of a cold site had the answer after {milliseconds(figures['thousand'])} "
                          f"(a file), {slow}: what the program's start takes.", 79, subsequent_indent="  "))
        say(f"- A visitor of a frozen site had it after {milliseconds(min(figures['thaws']))} to "
            f"{milliseconds(max(figures['thaws']))}.")
        say(f"- {self.visitor.asked} visits, and every one was answered.")

    def run(self):
        self.prepare()
        self.start()
        self.visit_cold()
        with self.box.events() as events:
            self.show_list()
            cpu = self.freeze(events)
            self.thaw(cpu)
            self.stop(events)
        self.summary()
        self.told = True

    def stay(self):
        run, port = self.box.run, self.box.port
        ctl = os.path.relpath(BUILD / "daemon/ctl/torporctl", REPOSITORY)
        ctl = ctl if not ctl.startswith("..") else BUILD / "daemon/ctl/torporctl"
        title("It goes on until Ctrl-C. In another terminal, in this folder:")
        say(f"  alias ctl='{ctl} \\")
        say(f"    --run={run}'")
        say(f"  curl http://python.localhost:{port}/   # php, node, static, site-0000 to -0999")
        say("  ctl list --state=awake,frozen")
        say("  ctl why python.localhost")
        say("  ctl top                 # and visit some sites; q quits")
        say("  ctl stop '*'            # and visit them again")
        say("  ctl events              # what happens, as it happens")
        say("  ctl cat php.localhost   # all that the file and its template say")
        say(f"  nano {self.box.etc}/sites/static.localhost.site")
        say("                          # in force as soon as it is saved")
        self.box.process.wait()
        raise Trouble(f"torpord ended with exit code {self.box.process.returncode}")


def interrupt(number, _):
    raise Interrupted(signal.Signals(number).name)


def finish(box):
    """Cleans up, not to be interrupted. True when nothing was left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    left = box.close()
    if left:
        print(f"\nThe end was not clean:\n{left}", file=sys.stderr)
    return not left


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stay", action="store_true", help="go on until Ctrl-C, and say what to try")
    options = parser.parse_args()
    box = demo = None
    code, began = 0, time.monotonic()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        check_machine()
        box = Box()
        demo = Demo(box)
        demo.run()
        if options.stay:
            demo.stay()
    except (KeyboardInterrupt, Interrupted) as error:
        staying = options.stay and isinstance(error, KeyboardInterrupt) and demo and demo.told
        code = 0 if staying else 130
        say()
        say("Stopping everything.")
    except (Trouble, OSError, EOFError, AssertionError) as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        if box:
            print(f"The end of torpord's log:\n{box.log_end()}", file=sys.stderr)
        code = 1
    finally:
        if box and not finish(box):
            code = code or 1
    if code == 0:
        say(f"\nAll is stopped and removed, after {time.monotonic() - began:.0f} s.")
    return code


if __name__ == "__main__":
    sys.exit(main())
