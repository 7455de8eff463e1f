# SPDX-License-Identifier: BSD-3-Clause
"""The results as a table for people, as Markdown, as JSON."""

import json
import os
import platform

HEAD = ('case', 'device', 'rounds', 'cycles/packet [q1-q3]', 'ratio [q1-q3]', 'Mpps', 'pkts/poll', 'drops', 'limit',
        'verdict')


def machine():
    """What the figures were taken on."""
    with open('/proc/cpuinfo', encoding='utf-8') as f:
        lines = dict(line.split(':', 1) for line in f.read().splitlines() if ':' in line)
    info = {k.strip(): v.strip() for k, v in lines.items()}
    with open('/proc/meminfo', encoding='ascii') as f:
        kib = int(f.readline().split()[1])
    return {
        'cpu': info.get('model name', platform.machine()),
        'mhz': float(info.get('cpu MHz', 0)),
        'cpus': len(os.sched_getaffinity(0)),
        'memory_mib': kib // 1024,
        'virtual': 'hypervisor' in info.get('flags', '').split(),
        'kernel': platform.release(),
        'load': os.getloadavg()[0],
    }


def describe(m):
    return (f'{m["cpus"]} CPUs {m["cpu"]} {m["mhz"] / 1000:.2f} GHz{", virtual" if m["virtual"] else ""}, '
            f'{m["memory_mib"] // 1024} GiB, Linux {m["kernel"]}, load at start {m["load"]:.1f}')


def span(middle, quartiles, form):
    if middle is None:
        return '-'
    return f'{middle:{form}} [{quartiles[0]:{form}}-{quartiles[1]:{form}}]'


def verdict(r):
    if r['void']:
        return f'void: {r["void"]}'
    if r['verdict'] is None:
        return '-'
    return f'{r["verdict"]} ({_bars(r)} x {r["reference"]})'


def _bars(r):
    """The bar that the verdict is about, and the next one."""
    if r['verdict'] == 'goal':
        return f'<= {r["goal"]:g}'
    goal = f', goal {r["goal"]:g},' if r['goal'] else ''
    return f'<= {r["bar"]:g}{goal}'


def row(r):
    return (r['case'], r['dut'], f'{r["valid_rounds"]}/{len(r["rounds"])}', span(r['busy_cycles_per_packet'], r['busy_cycles_quartiles'], '.0f'),
            span(r['ratio'], r['ratio_quartiles'], '.2f'), f'{r["mpps"]:.2f}', f'{r["packets_per_poll"]:.0f}',
            f'{100 * r["egress_drops"]:.2f} %', r['limited_by'], verdict(r))


def control_rows(control):
    """(what, value, verdict) of each; their texts are made where they are measured."""
    return [(c['what'], c['text'], c['verdict'] or '-') for c in control.values()]


def _aligned(head, rows):
    widths = [max(len(str(line[i])) for line in [head, *rows]) for i in range(len(head))]
    return '\n'.join('  '.join(str(v).ljust(w) for v, w in zip(line, widths)).rstrip()
                     for line in [head, *rows])


def _markdown(head, rows):
    lines = [head, ['---'] * len(head), *rows]
    return '\n'.join('| ' + ' | '.join(str(v) for v in line) + ' |' for line in lines)


def text(results, markdown=False):
    table = _markdown if markdown else _aligned
    parts = [describe(results['machine'])]
    if results['cases']:
        parts.append(table(HEAD, [row(r) for r in results['cases']]))
    reasons = sorted({f'{r["case"]}: no ratios: {r["no_ratio"]}' for r in results['cases'] if r['no_ratio']})
    if reasons:
        parts.append('\n'.join(reasons))
    if results['control']:
        parts.append(table(('control', 'value', 'verdict'), control_rows(results['control'])))
    return '\n\n'.join(parts)


def write_json(results, path):
    with open(path, 'w', encoding='utf-8') as f:
        json.dump(results, f, indent=1)
        f.write('\n')
