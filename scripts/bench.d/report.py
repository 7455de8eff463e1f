# SPDX-License-Identifier: BSD-3-Clause
"""The results as tables for people, as Markdown, as JSON."""

import json
import os
import platform

from figures import beside

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


def length(results):
    return f'{"; a quick run" if results.get("quick") else ""}; {results["seconds"]} s' if 'seconds' in results else ''


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


FEW = 12   # cases whose devices all get a line of their own
FLOWS = ((1, '1 flow'), (1024, '1024 flows'), (1 << 20, '1 M flows'))
MATRIX_HEAD = ('from - to', 'mode', 'size', *(label for _, label in FLOWS))
WAYS = {('vhost', 'both'): 'vhost - vhost, both ways', ('vhost', 'there'): 'vhost - vhost, one way',
        ('memif', 'both'): 'vhost - memif, both ways', ('memif', 'there'): 'vhost - memif, one way',
        ('memif', 'back'): 'memif - vhost, one way'}


def by_case(results):
    """{case: its rows}, in order."""
    found = {}
    for row_ in results['cases']:
        found.setdefault(row_['case'], []).append(row_)
    return found


def matrix(results):
    """{(egress, way, mode, size): {flows: rows}} of what belongs to the matrix: podrail beside testpmd, all with the same."""
    found = {}
    for name, rows in by_case(results).items():
        first = rows[0]
        if name == _matrix_name(first):
            found.setdefault((first['egress'], first['way'], first['mode'], first['size']), {})[first['flows']] = rows
    return found


def _matrix_name(r):
    kind = {'vhost': 'vhost', 'memif': 'memif-vhost' if r['way'] == 'back' else 'vhost-memif'}[r['egress']]
    flows = '1m' if r['flows'] == 1 << 20 else r['flows']
    return f'{kind}-{r["mode"]}-{r["size"]}-{flows}{"" if r["way"] == "both" else "-oneway"}'


def ovs_of(mode):
    return 'ovs-normal' if mode == 'bridged' else 'ovs-l3'


def matrix_cell(rows, mode):
    if not rows:
        return '-'
    cycles = rows[0]['busy_cycles_per_packet']
    if cycles is None:
        return 'void'
    ratios = [beside(rows, 'podrail', 'testpmd-io')]
    if any(r['dut'].startswith('ovs-') for r in rows):
        ratios.append(beside(rows, 'podrail', ovs_of(mode)))
    return f'{cycles:.0f} ({"; ".join("none" if r is None else f"{r:.2f}" for r in ratios)})'


def matrix_rows(results):
    return [(WAYS[egress, way], mode, size, *(matrix_cell(flows.get(n), mode) for n, _ in FLOWS))
            for (egress, way, mode, size), flows in sorted(matrix(results).items(), key=_order)]


def _order(item):
    egress, way, mode, size = item[0]
    return list(WAYS).index((egress, way)), mode, size


def _aligned(head, rows):
    widths = [max(len(str(line[i])) for line in [head, *rows]) for i in range(len(head))]
    return '\n'.join('  '.join(str(v).ljust(w) for v, w in zip(line, widths)).rstrip()
                     for line in [head, *rows])


def _markdown(head, rows):
    lines = [head, ['---'] * len(head), *rows]
    return '\n'.join('| ' + ' | '.join(str(v) for v in line) + ' |' for line in lines)


def text(results, markdown=False):
    table = _markdown if markdown else _aligned
    parts = [describe(results['machine']) + length(results)]
    names = by_case(results)
    shown = [r for rows in names.values() for r in rows if len(names) <= FEW or rows[0]['bar']]
    if shown:
        parts.append(table(HEAD, [row(r) for r in shown]))
    if len(names) > FEW and matrix(results):
        parts.append('podrail, cycles a packet (as a multiple of testpmd-io; of OVS: NORMAL if bridged, L3 flows if routed)')
        parts.append(table(MATRIX_HEAD, matrix_rows(results)))
    reasons = sorted({f'{r["case"]}: no ratio: {r["no_ratio"]}' for r in results['cases'] if r['no_ratio']})
    if reasons:
        parts.append('\n'.join(reasons))
    if results['control']:
        parts.append(table(('control', 'value', 'verdict'), control_rows(results['control'])))
    return '\n\n'.join(parts)


def write_json(results, path):
    with open(path, 'w', encoding='utf-8') as f:
        json.dump(results, f, indent=1)
        f.write('\n')
