# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of a run, drawn by gnuplot: bars of cycles a packet, and ratios as a map of colours."""

import os
import subprocess

import report
from figures import beside

# What is measured is strong, what it is compared with is pale. Told apart by people who see few colours, too.
COLOURS = {'podrail': '#d55e00', 'testpmd-io': '#0072b2', 'testpmd-macswap': '#7fbfe5', 'ovs': '#b8b8b8',
           'ovs-l3': '#6a6a6a', 'ovs-normal': '#6a6a6a'}
DEVICES = ('podrail', 'testpmd-io', 'testpmd-macswap', 'ovs', 'ovs-l3')   # ovs-l3 stands for ovs-normal where bridged
LABELS = {'ovs': 'OVS, in_port', 'ovs-l3': 'OVS, L3 flows or NORMAL'}
MODES = (('bridged', 'bridged'), ('routed4', 'routed IPv4'), ('routed6', 'routed IPv6'))
SIZES = (64, 256, 1500, 9000)
FLOWS = 1024
LICENCE = 'SPDX-License-Identifier: BSD-3-Clause'
FONT = 'DejaVu Sans,Helvetica,sans-serif'


def _size(mode, size):
    """IPv6 does not fit into 64 bytes."""
    return 96 if mode == 'routed6' and size == 64 else size


def _size_label(size):
    return '64 B (IPv6: 96 B)' if size == 64 else f'{size} B'


def _bars(points, egress, way, size):
    """{device: [(x, cycles, low, high)]} at 1024 flows."""
    bars = {}
    for at, (mode, _) in enumerate(MODES):
        rows = points.get((egress, way, mode, _size(mode, size)), {}).get(FLOWS, [])
        for row in rows:
            device = 'ovs-l3' if row['dut'] == 'ovs-normal' else row['dut']
            cycles = row['busy_cycles_per_packet']
            if device in DEVICES and cycles is not None:
                bars.setdefault(device, []).append(
                    (at * (len(DEVICES) + 1.2) + DEVICES.index(device), cycles, *row['busy_cycles_quartiles']))
    return bars


def _panel(title, bars):
    """gnuplot's commands for one panel of bars with quartiles and numbers."""
    lines, plots = [], []
    for number, device in enumerate(d for d in DEVICES if d in bars):
        lines += [f'$d{number} << E', *(' '.join(f'{v:.6g}' for v in bar) for bar in bars[device]), 'E']
        plots += [f'$d{number} using 1:2:(0.92) with boxes fc rgb "{COLOURS[device]}" notitle',
                  f'$d{number} using 1:3:(0):($4 - $3) with vectors nohead lc rgb "#303030" lw 1.5 notitle',
                  f'$d{number} using 1:4:($2 < 1000 ? sprintf("%.0f", $2) : sprintf("%.1fk", $2 / 1000)) with labels font "{FONT},9" offset 0,0.55 notitle']
    ticks = ', '.join(f'"{label}" {at * (len(DEVICES) + 1.2) + 2}' for at, (_, label) in enumerate(MODES))
    top = max(bar[3] for values in bars.values() for bar in values)
    return [*lines, f'set title "{title}" font "{FONT},13"', f'set xtics ({ticks}) scale 0',
            f'set xrange [-1:{3 * (len(DEVICES) + 1.2) - 0.7}]', f'set yrange [0:{1.13 * top:.6g}]',
            'plot ' + ', '.join(plots)]


def _head(width, height, path):
    return [f'set terminal svg size {width},{height} font "{FONT},11" background "white" noenhanced', f'set output "{path}"',
            'set style fill solid 1 noborder', 'set border 3 lc rgb "#606060"', 'set tics nomirror out',
            'set grid ytics lc rgb "#e4e4e4" lw 1', 'set ylabel "busy cycles a packet"']


def _legend(found, width, height):
    """In one line under the heading; in pixels, as the panels' own keys can not be."""
    devices = [d for d in DEVICES if any(d in bars_ for _, bars_ in found)]
    labels = [LABELS.get(d, d) for d in devices]
    spans = [34 + 8 * len(label) for label in labels]
    x, y, lines = (width - sum(spans)) / 2, 1 - 52 / height, []
    for number, (device, label, span) in enumerate(zip(devices, labels, spans), 1):
        lines += [f'set object {number} rectangle from screen {x / width:.4f},{y - 5 / height:.4f} to '
                  f'screen {(x + 14) / width:.4f},{y + 5 / height:.4f} fc rgb "{COLOURS[device]}" fs solid noborder',
                  f'set label {number} "{label}" at screen {(x + 19) / width:.4f},{y:.4f} left']
        x += span
    return lines


def bars(results, path, egress, ways, sizes, heading):
    """A panel for each way and size; None when there is nothing to see. ways: ((way, words), …)."""
    points = report.matrix(results)
    panels = [(f'{words}{_size_label(size)}', _bars(points, egress, way, size))
              for way, words in ways for size in sizes]
    panels = [(title, found) for title, found in panels if found]
    if not panels:
        return None
    rows = (len(panels) + 1) // 2
    across = min(len(panels), 2)
    width, height = 560 * across, 100 + 280 * rows
    lines = [*_head(width, height, path), 'unset key',
             f'set multiplot layout {rows},{across} title "{heading}" font "{FONT},15" margins screen 0.08,0.985,'
             f'{35 / height:.3f},{1 - 100 / height:.3f} spacing screen 0.075,{80 / height:.3f}']
    for number, (title, found) in enumerate(panels):
        lines += [*(_legend(panels, width, height) if number == 0 else ('unset object', 'unset label')),
                  *_panel(title, found)]
    _gnuplot([*lines, 'unset multiplot'], path)
    return path


COLUMNS = tuple((egress, way, n) for egress, way in report.WAYS for n, _ in report.FLOWS)


def _cells(points, reference, columns):
    """[(column, row, ratio or None)], and the labels of the rows."""
    rows = [(mode, _size(mode, size), words) for mode, words in MODES for size in SIZES]
    cells = []
    for y, (mode, size, _) in enumerate(rows):
        against = report.ovs_of(mode) if reference == 'ovs' else reference
        for x, (egress, way, flows) in enumerate(columns):
            found = points.get((egress, way, mode, size), {}).get(flows)
            if found:
                cells.append((x, y, beside(found, 'podrail', against)))
    return cells, [f'{words}, {size} B' for _, size, words in rows]


def heat(results, path, reference, columns, heading):
    """Ratios as colours and numbers; grey: no ratio, for a check failed; empty: not measured."""
    cells, labels = _cells(report.matrix(results), reference, columns)
    if not cells:
        return None
    known = [c for c in cells if c[2] is not None]
    words = {1: '1', 1024: '1024', 1 << 20: '1 M'}
    width, height = 210 + 62 * len(columns), 150 + 30 * len(labels)
    lines = [f'set terminal svg size {width},{height} font "{FONT},11" background "white" noenhanced', f'set output "{path}"',
             f'set title "{heading}" font "{FONT},14" offset 0,2.5', 'unset key', 'unset border', 'set tics scale 0',
             f'set xrange [-0.5:{len(columns) - 0.5}]', f'set yrange [{len(labels) - 0.5}:-0.5]',
             f'set lmargin at screen {165 / width:.4f}', f'set rmargin at screen {1 - 20 / width:.4f}',
             f'set tmargin at screen {1 - 105 / height:.4f}', f'set bmargin at screen {25 / height:.4f}',
             'set ytics (' + ', '.join(f'"{label}" {y}' for y, label in enumerate(labels)) + ')',
             'set style fill solid 1 noborder']
    lines += [f'set label "{words[n]}" at {x},-0.72 center font "{FONT},10"' for x, (_, _, n) in enumerate(columns)]
    lines += ['unset xtics', f'set label "flows" at -0.6,-0.72 right font "{FONT},10"']
    for x in range(0, len(columns), 3):
        egress, way, _ = columns[x]
        first, second = report.WAYS[egress, way].split(', ')
        lines.append(f'set label "{first}\\n{second}" at {x + 1},-1.7 center font "{FONT},11"')
        if x:
            lines.append(f'set arrow from {x - 0.5},-1.4 to {x - 0.5},{len(labels) - 0.5} nohead lc rgb "#ffffff" lw 6 front')
    lines += ['$cells << E', *(f'{x} {y} {r:.4f}' for x, y, r in known), 'E']
    lines += ['$none << E', *(f'{x} {y}' for x, y, r in cells if r is None), '-9 -9', 'E']
    lines += ['set palette defined (0.2 "#58b383", 0.6 "#a8dbb5", 1 "#f7f7f0", 1.4 "#f2b79c", 1.8 "#c0392b")',
              'set cbrange [0.2:1.8]', 'unset colorbox',
              'plot $none using 1:2:(0.48):(0.46) with boxxyerror fc rgb "#d9d9d9", '
              '$cells using 1:2:(0.48):(0.46):3 with boxxyerror fc palette, '
              f'$cells using 1:2:(sprintf("%.2f", $3)) with labels font "{FONT},10"']
    _gnuplot(lines, path)
    return path


def _gnuplot(lines, path):
    done = subprocess.run(['gnuplot'], input='\n'.join(lines) + '\n', text=True, capture_output=True, check=False)
    if done.returncode or 'warning' in done.stderr:
        raise RuntimeError(f'gnuplot: {done.stderr.strip()}')
    with open(path, encoding='utf-8') as f:
        declaration, _, rest = f.read().partition('\n')
    with open(path, 'w', encoding='utf-8') as f:
        f.write(f'{declaration}\n<!-- {LICENCE} -->\n{rest}')


def draw(results, directory):
    """All pictures that the results are enough for: their paths."""
    os.makedirs(directory, exist_ok=True)

    def path(name):
        return os.path.join(directory, f'{name}.svg')

    vhost = [c for c in COLUMNS if c[0] == 'vhost']
    drawn = [
        bars(results, path('vhost'), 'vhost', (('both', ''),), SIZES, 'vhost-user to vhost-user, both ways, 1024 flows'),
        bars(results, path('memif'), 'memif', (('there', 'vhost to memif, '), ('back', 'memif to vhost, ')), (64, 1500),
             'vhost-user and memif, one way, 1024 flows'),
        heat(results, path('ratio-io'), 'testpmd-io', COLUMNS, 'podrail: busy cycles a packet as a multiple of testpmd io (green: fewer; grey: a check failed)'),
        heat(results, path('ratio-ovs'), 'ovs', vhost, 'podrail: busy cycles as a multiple of OVS-DPDK'),
    ]
    return [p for p in drawn if p]
