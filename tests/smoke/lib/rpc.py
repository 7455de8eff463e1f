# SPDX-License-Identifier: BSD-3-Clause
"""A client of the control protocol."""

import json
import socket


class RpcError(Exception):
    """An error object of an answer: code, message, field (or None)."""

    def __init__(self, error):
        self.code = error.get('code')
        self.message = error.get('message', '')
        self.field = (error.get('data') or {}).get('field')
        super().__init__(f'{self.code}: {self.message}' + (f' (field {self.field})' if self.field else ''))


class Client:
    """
    c = Client('/path/control.sock')
    c.call('port.add', name='a', kind='vhost-user', …)   -> result, or raises RpcError
    c.batch([('port.del', {'name': 'a'}), …])            -> list of results and RpcErrors
    """

    def __init__(self, path, timeout=10):
        self.path = str(path)
        self.next_id = 1
        self.buffer = b''
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        try:
            self.socket.connect(self.path)
        except OSError:
            self.socket.close()
            raise

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send_raw(self, data):
        self.socket.sendall(data)

    def read_line(self):
        """The next line without its end; b'' when the daemon closed the connection."""
        while b'\n' not in self.buffer:
            data = self.socket.recv(1 << 18)
            if not data:
                return b''
            self.buffer += data
        line, self.buffer = self.buffer.split(b'\n', 1)
        return line

    def read_answer(self):
        line = self.read_line()
        if not line:
            raise ConnectionError('the daemon closed the connection')
        return json.loads(line)

    def _request(self, method, params):
        request = {'jsonrpc': '2.0', 'id': self.next_id, 'method': method, 'params': params}
        self.next_id += 1
        return request

    def send(self, method, **params):
        """Sends without waiting (for pipelining); returns the id."""
        request = self._request(method, params)
        self.send_raw(json.dumps(request).encode() + b'\n')
        return request['id']

    def call(self, method, **params):
        number = self.send(method, **params)
        answer = self.read_answer()
        if answer.get('id') != number and 'error' not in answer:
            raise ConnectionError(f'answer to request {answer.get("id")} instead of {number}')
        if 'error' in answer:
            raise RpcError(answer['error'])
        return answer['result']

    def batch(self, requests):
        requests = [self._request(method, params) for method, params in requests]
        self.send_raw(json.dumps(requests).encode() + b'\n')
        answers = self.read_answer()
        if isinstance(answers, dict):
            raise RpcError(answers['error'])
        by_id = {a['id']: a for a in answers}
        return [by_id[r['id']]['result'] if 'result' in by_id[r['id']]
                else RpcError(by_id[r['id']]['error']) for r in requests]
