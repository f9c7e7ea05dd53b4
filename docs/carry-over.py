#!/usr/bin/env python3
# Copyright The OpenTelemetry Authors
# SPDX-License-Identifier: Apache-2.0

"""Carries the groups of a Pushgateway over to a receiver with groups.

    carry-over.py http://old-pushgateway:9091 http://collector:9091

Both URLs may contain user:password@. A group that the receiver has already is left alone, so that a job which has pushed
there keeps its newer values, and the script can be run again. What cannot be carried over is named on standard error, and
the exit status is 1 then. Push times are not carried over: they become the time of this run.
"""

import base64
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

LEGACY = re.compile(r'[a-zA-Z_:][a-zA-Z0-9_:]*')
LEGACY_LABEL = re.compile(r'[a-zA-Z_][a-zA-Z0-9_]*')
PUSH_TIMES = ('push_time_seconds', 'push_failure_time_seconds')


def main(old, new):
    held = [group['labels'] for group in groups(new)]
    utf8 = takes_utf8(new)
    carried, problems = 0, 0
    for group in groups(old):
        key = group.pop('labels')
        if key in held:
            print(f'{key}: the receiver has this group already', file=sys.stderr)
            continue
        try:
            body, left_out = exposition(group, key)
            for name, reason in left_out:
                problems += 1
                print(f'{key}: {name} is not carried over: {reason}', file=sys.stderr)
            request(new + path(key, utf8), method='PUT', data=body.encode())
            carried += 1
        except urllib.error.HTTPError as refusal:
            problems += 1
            print(f'{key}: {refusal}: {refusal.read().decode().strip()}', file=sys.stderr)
        except Exception as failure:  # Whatever it is, it must not keep the other groups from being carried over.
            problems += 1
            print(f'{key}: {failure}', file=sys.stderr)
    print(f'{carried} groups were carried over, {problems} problems')
    return 1 if problems else 0


def groups(url):
    return json.load(request(url + '/api/v1/metrics'))['data']


def takes_utf8(url):
    """Whether names in a path may be escaped. Where they may not, an escaped name would be taken for the name itself."""
    flags = json.load(request(url + '/api/v1/status'))['data']['flags']
    return flags.get('push.enable-utf8-names') == 'true'


def request(url, **kwargs):
    """Opens a URL, whose user and password become a header."""
    parts = urllib.parse.urlsplit(url)
    credentials, _, host = parts.netloc.rpartition('@')
    r = urllib.request.Request(parts._replace(netloc=host).geturl(), **kwargs)
    if credentials:
        encoded = base64.b64encode(urllib.parse.unquote(credentials).encode()).decode()
        r.add_header('Authorization', 'Basic ' + encoded)
    return urllib.request.urlopen(r, timeout=60)


def path(key, utf8):
    """The group's path, with all values in base64, which can hold any value; "=" is an empty one."""
    def element(name):
        value = base64.urlsafe_b64encode(key[name].encode()).decode() or '='
        return f'{in_path(name, utf8)}@base64/{value}'
    others = sorted(name for name in key if name != 'job')
    return '/metrics/' + '/'.join(element(name) for name in ['job'] + others)


def in_path(name, utf8):
    """The name of a label as a Pushgateway reads it from a path: beyond letters, digits and _, escaped behind U__."""
    if LEGACY_LABEL.fullmatch(name) and not (utf8 and name.startswith('U__')):
        return name
    if not utf8:
        raise ValueError(f'a group with the label {name!r} takes the receiver\'s utf8_names: true')
    return urllib.parse.quote('U__' + ''.join(map(escape, name)))


def escape(character):
    if character == '_':
        return '__'
    if character.isascii() and character.isalnum() or ord(character) > 0xfffff:  # Longer escapes are not read back.
        return character
    return f'_{ord(character):x}_'


def exposition(group, key):
    """The families of a group as text, and what cannot be written so, as pairs of name and reason."""
    lines, left_out = [], []
    for name, family in sorted(group.items()):
        if not isinstance(family, dict) or name in PUSH_TIMES:
            continue
        if family['type'] not in WRITERS:
            left_out.append((name, f'the API does not show what is in a {family["type"]}'))
            continue
        if any(isinstance(metric.get('buckets'), list) for metric in family['metrics']):
            left_out.append((name, 'a native histogram has no text form'))
            continue
        if family.get('help'):
            lines.append(f'# HELP {quoted(name)} {escaped(family["help"])}')
        lines.append(f'# TYPE {quoted(name)} {family["type"].lower()}')
        for metric in family['metrics']:
            labels = {n: v for n, v in metric['labels'].items() if v and n not in key}
            lines.extend(WRITERS[family['type']](name, labels, metric))
    return ''.join(line + '\n' for line in lines), left_out


def single(name, labels, metric):
    yield sample(name, labels, metric['value'])


def histogram(name, labels, metric):
    for bound, count in sorted(metric['buckets'].items(), key=lambda bucket: float(bucket[0])):
        yield sample(name + '_bucket', {**labels, 'le': bound}, count)
    yield from sum_and_count(name, labels, metric)


def summary(name, labels, metric):
    for quantile, value in sorted(metric['quantiles'].items(), key=lambda pair: float(pair[0])):
        yield sample(name, {**labels, 'quantile': quantile}, value)
    yield from sum_and_count(name, labels, metric)


def sum_and_count(name, labels, metric):
    yield sample(name + '_sum', labels, metric['sum'])
    yield sample(name + '_count', labels, metric['count'])


WRITERS = {'COUNTER': single, 'GAUGE': single, 'UNTYPED': single, 'HISTOGRAM': histogram, 'SUMMARY': summary}


def sample(name, labels, value):
    """One line. Names beyond letters, digits and _ are quoted, which takes the receiver's utf8_names: true."""
    pairs = [f'{quoted(n, LEGACY_LABEL)}="{escaped(v, quotes=True)}"' for n, v in sorted(labels.items())]
    if LEGACY.fullmatch(name):
        return f'{name}{{{",".join(pairs)}}} {value}'
    return f'{{{",".join([quoted(name)] + pairs)}}} {value}'


def quoted(name, legacy=LEGACY):
    return name if legacy.fullmatch(name) else f'"{escaped(name, quotes=True)}"'


def escaped(text, quotes=False):
    text = text.replace('\\', '\\\\').replace('\n', '\\n')
    return text.replace('"', '\\"') if quotes else text


if __name__ == '__main__':
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    sys.exit(main(sys.argv[1].rstrip('/'), sys.argv[2].rstrip('/')))
