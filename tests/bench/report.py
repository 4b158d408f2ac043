# SPDX-License-Identifier: LGPL-2.1-or-later
"""The results as a table of 80 columns."""


def _ms(value_us):
    if value_us is None:
        return "-"
    return f"{value_us / 1000:.3f}" if value_us < 10000 else f"{value_us / 1000:.1f}"


def _rule(title):
    return f"\n{title} {'-' * (79 - len(title))}"


def _latencies(results):
    lines = [_rule("milliseconds to the first byte"),
             f"{'':8}{'':11}{'sites':>6}{'at once':>9}{'p50':>9}{'p90':>9}{'p99':>9}{'max':>9}{'count':>7}"]
    for row in results["latencies"]:
        times = "".join(f"{_ms(row[key]):>9}" for key in ("p50_us", "p90_us", "p99_us", "max_us"))
        lines.append(f"{row['what']:8}{row['who']:11}{row['sites']:>6}{row['at_once']:>9}"
                     f"{times}{row['count']:>7}")
        if row["errors"]:
            lost = ", ".join(f"{count} {kind}" for kind, count in row["errors"].items())
            lines.append(f"{'':8}lost: {lost}")
    return lines


def _loads(results):
    lines = [_rule("load and memory"),
             f"{'':11}{'sites':>7}{'ready s':>10}{'listening s':>13}{'RSS KiB':>10}{'PSS KiB':>10}"]
    for row in results["loads"]:
        ready = "-" if row["ready_s"] is None else f"{row['ready_s']:.3f}"
        lines.append(f"{row['who']:11}{row['sites']:>7}{ready:>10}{row['listening_s']:>13.3f}"
                     f"{row['memory']['rss_bytes'] // 1024:>10}{row['memory']['pss_bytes'] // 1024:>10}")
    for row in results["memory_per_site"]:
        lines.append(f"{row['who']}: {row['rss_bytes']:.0f} bytes resident a cold site "
                     f"({row['sites']} less {row['less']} sites; PSS {row['pss_bytes']:.0f})")
    return lines


def _rest(results):
    idle, loss, ratios = results["idle"], results["frozen_loss"], results["ratios"]
    lines = [_rule("at rest"),
             f"{idle['sites']} cold sites over {idle['seconds']} s: {idle['cpu_ms']:.0f} ms CPU by ticks, "
             f"{idle['run_ns'] / 1e6:.3f} ms by the scheduler,",
             f"{idle['voluntary_switches']} wake-ups in {len(idle['threads'])} threads"]
    lines += [_rule("requests while frozen and thawed"),
              f"{loss['requests']} requests, {loss['freezes']} freezes, {loss['thaws']} thaws, "
              f"{loss['failed']} lost",
              f"p50 {_ms(loss['p50_us'])} ms, p99 {_ms(loss['p99_us'])} ms, max {_ms(loss['max_us'])} ms"]
    lines.append(_rule("ratios of p50"))
    lines += [f"{name}: {value:.2f}" for name, value in ratios.items()]
    return lines


def table(results):
    machine = results["machine"]
    lines = [f"torpor {results['version']} on {machine['cpus']} CPUs ({machine['cpu_model']}),",
             f"{machine['memory_bytes'] / 2**30:.1f} GiB, Linux {machine['kernel']}, {machine['system']}, "
             f"{machine['date']}"]
    if "build" in machine:
        lines.append("build: " + ", ".join(f"{key}={value}" for key, value in machine["build"].items()))
    lines += _latencies(results) + _loads(results) + _rest(results)
    lines += [f"note: {note}" for note in results["notes"]]
    return "\n".join(lines)
