#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""check-calendar.py CALENDAR-PRINT [COUNT [SEED]]: our reader of calendars against systemd's own: the same are taken, and
they name the same instants, in zones with and without summer time. Fixed ones, then COUNT random ones."""
import os
import random
import re
import shutil
import subprocess
import sys

ITERATIONS = 5
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]
# Before a leap day, around the changes of clocks in 2024 and 2025, the end of a year, and the end of what there is.
BASES = [1709000000, 1711846800 - 86400, 1711846800 - 600, 1729990800 - 86400, 1741500000, 1762050000, 1735689500,
         7258118400 - 86400 * 400]
FIXED = """minutely;hourly;daily;weekly;monthly;quarterly;yearly;semiannually;Daily;daily UTC;Mon;mon,FRI;Sat,Sun 10:00
Mon..Fri 08:00;Mon-Wed 9:15;Monday *-*-* 00:00;*-*-* 02:30;02:30;02:30:30;*:30;*:0/15;*:*;*:*:*;*:*:0/10;0/6:00
*-02-29;*-02-29 12:00;2024..2028-02-29;Fri *-*-13;*-*~01;*-*~03/1;*-02~1..3;*-*~07/2 10:00;Mon *-05~07/1;02~01
2030-01-01;30-01-01;2024-02-30;*-1,4,7,10-1;01-01;8..17:00;8..17/3:00,30;22:00 UTC;*-*-1..7 18:00:00;10-15;1:2;1:2:3
*-12-31 23:59:59;Mon..Fri *-*-* 2:30;2..3:15,45;0:0/30;*-03-30..31 2:30;*-03,10,11-* 1,2,3:00,30;*-*-31;*-04-31
;foo;25:00;*-13-01;*-00-01;*-*-32;*-*-00;12:60;12:00:60;Fri..Mon;Mon..;..Mon;08..07:00;08..08:00;08..10/3:00;20/5:00
*/2:00;0/0:00;1:2:3:4;1-2-3-4;2024-01-01 2024-01-01;10:00 Mon;Mon Tue;1969-01-01;2200-01-01;199-01-01;08:00 08:00;*-*~29
*-*~28;*-*~01/1;*-*~01..01;*-*~5..2;-01-01;*--01;12:;:30;12:00 UTC UTC;UTC;Mon UTC;*-*-*;* *;*:*/2;1,:00;1;12;*-*-*~1
""".replace("\n", ";").split(";")


def random_numbers(chance, low, high, star=True):
    kind = chance.randrange(6 if star else 5)
    number = lambda: chance.randint(low, high)
    first, last = sorted(chance.sample(range(low, high + 1), 2))
    if kind == 0:
        return f"{number()}/{chance.randint(1, 12)}"
    if kind == 1:
        return f"{first}..{last}"
    if kind == 2:
        return f"{first}..{last}/{chance.randint(1, 5)}"
    if kind == 3:
        return ",".join(f"{number():02}" for _ in range(chance.randint(2, 4)))
    return f"{number():02}" if kind == 4 else "*"


def random_calendar(chance):
    days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    parts = []
    if chance.random() < 0.3:
        parts.append(",".join(chance.sample(days, chance.randint(1, 3))))
    if chance.random() < 0.6:
        mark = "~" if chance.random() < 0.3 else "-"
        # systemd takes less and less of the later ones in a list behind "~".
        day = random_numbers(chance, 1, 19 if mark == "~" else 31)
        parts.append(f"{random_numbers(chance, 1, 12)}{mark}{day}")
        if chance.random() < 0.5:
            parts[-1] = f"{random_numbers(chance, 2023, 2030)}-{parts[-1]}"
    if chance.random() < 0.8 or not parts:
        parts.append(f"{random_numbers(chance, 0, 23)}:{random_numbers(chance, 0, 59)}")
        if chance.random() < 0.4:
            parts[-1] += f":{random_numbers(chance, 0, 59)}"
    if chance.random() < 0.2:
        parts.append("UTC")
    return " ".join(parts)


def ours(program, calendar, base, zone):
    result = subprocess.run([program, calendar, str(base), str(ITERATIONS)], text=True, capture_output=True, check=False,
                            env={**os.environ, "TZ": zone})
    assert result.returncode in (0, 1), result
    if result.returncode == 1:
        assert result.stderr.startswith("expected "), result.stderr
        return None
    return [int(line) for line in result.stdout.split()]


def theirs(calendar, base, zone):
    result = subprocess.run(["systemd-analyze", "calendar", f"--base-time=@{base}", f"--iterations={ITERATIONS}", "--",
                             calendar], text=True, capture_output=True, check=False,
                            env={**os.environ, "TZ": zone, "LC_ALL": "C"})
    if "Failed to parse" in result.stderr:
        return None
    if result.returncode != 0:
        return "gave up"
    found = re.findall(r"(?:Next elapse|Iter\. #\d+|\(in UTC\)): \w+ (\d+-\d+-\d+ \d+:\d+:\d+) (\w+)", result.stdout)
    found = [when for when, name in found if name == "UTC"]
    if not found:
        return []
    dates = subprocess.run(["date", "-u", "+%s", "-f", "-"], input="\n".join(f"{when} UTC" for when in found), text=True,
                           capture_output=True, check=True).stdout
    return [int(line) for line in dates.split()]


def main():
    program, count, seed, *_ = sys.argv[1:] + ["60", "1"][len(sys.argv) - 2:]
    if not shutil.which("systemd-analyze"):
        print("systemd-analyze is not there to compare with")
        return 77
    chance, wrong = random.Random(int(seed)), 0
    calendars = FIXED + [random_calendar(chance) for _ in range(int(count))]
    for number, calendar in enumerate(calendars):
        base, zone = BASES[number % len(BASES)], chance.choice(ZONES)
        mine, systemd = ours(program, calendar, base, zone), theirs(calendar, base, zone)
        if mine != systemd != "gave up":
            print(f"{calendar!r} after {base} in {zone}: {mine}, systemd {systemd}")
            wrong += 1
    print(f"{len(calendars)} calendars, {wrong} wrong")
    return 1 if wrong else 0


sys.exit(main())
