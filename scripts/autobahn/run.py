"""Runs cases of Autobahn's test suite against a server, one after the other.

usage: run.py URL MESSAGES CHAPTER...

Prints a line of JSON for each case: its id, how the server behaved and closed,
and why the suite thinks so.

The suite is written for Python 2, where text is bytes. Its cases keep such
text here: each character is a byte. It becomes bytes where the protocol is
called, and text again where the protocol calls.
"""

import binascii
import importlib.abc
import importlib.util
import json
import os
import re
import sys
import types

import autobahn.websocket.utf8validator as utf8validator
from autobahn.twisted import websocket
from twisted.internet import reactor

SUITE = os.path.dirname(importlib.util.find_spec("autobahntestsuite").origin)
CASES = os.path.join(SUITE, "case")
# No case that passes waits so long: busy cores are no failure.
PATIENCE_SECONDS = 10
OPTIONS = "(request|accept)(No|Max)(Context|Window)(Takeover|Bits)"


def encoded(value):
    return value.encode("latin-1") if isinstance(value, str) else value


def decoded(value):
    return value.decode("latin-1") if isinstance(value, bytes) else value


def encoding(function):
    """The function, for arguments that may be text."""

    def call(*words, **named):
        named = {name: encoded(value) for name, value in named.items()}
        return function(*map(encoded, words), **named)

    return call


def ported(source):
    """The source of a module, in Python 3."""
    source = re.sub(r"(?m)^( *)print (.*)", r"\1print(\2)", source)
    source = re.sub(OPTIONS, lambda m: "_".join(m.groups()).lower(), source)
    source = source.replace("(object, Case, )", "(Case, )")
    return source.replace(" / self.p.auto", " // self.p.auto")


class Loader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports modules of the suite's cases."""

    def find_spec(self, name, path, target=None):
        file = os.path.join(CASES, name + ".py")
        if os.path.exists(file):
            return importlib.util.spec_from_file_location(
                name, file, loader=self)

    def exec_module(self, module):
        # Also a literal in UTF-8 is one character a byte, read like this.
        with open(module.__file__, encoding="latin-1") as file:
            source = ported(file.read())
        exec(compile(source, module.__file__, "exec"), module.__dict__)


def load():
    """Returns the classes of all cases, by their ids."""
    vars(sys.modules["builtins"]).update(xrange=range)
    to_hex = encoding(binascii.b2a_hex)
    binascii.b2a_hex = lambda data: decoded(to_hex(data))
    validator = utf8validator.Utf8Validator
    utf8validator.Utf8Validator = type("Validator", (validator,), {
        "validate": encoding(validator.validate)})
    sys.modules["pkg_resources"] = types.SimpleNamespace(
        resource_filename=lambda _, path: os.path.join(SUITE, path))
    # No list has this case, and it needs what zope.interface has dropped.
    sys.modules["case9_9_1"] = types.ModuleType("case9_9_1")
    sys.meta_path.insert(0, Loader())
    names = __import__("__init__").Cases
    return {name.__name__[4:].replace("_", "."): name for name in names}


class Client(websocket.WebSocketClientProtocol):
    """What a case sees of its connection."""

    connectionWasOpen = False
    enableWirelog = lambda self, enabled: None

    def __init__(self, case):
        super().__init__()
        self.case = case(self)
        self.txFrameStats = {}

    def sendFrame(self, opcode, *words, **named):
        self.txFrameStats[opcode] = self.txFrameStats.get(opcode, 0) + 1
        super().sendFrame(opcode, *words, **named)

    def continueLater(self, delay, then, tag=None):
        reactor.callLater(
            delay, lambda: self.state != self.STATE_CLOSED and then())

    def killAfter(self, delay):
        delay = max(delay, PATIENCE_SECONDS)
        self.continueLater(delay, self._fail_connection)

    def closeAfter(self, delay):
        self.continueLater(delay, self.sendClose)

    def onOpen(self):
        self.connectionWasOpen = True
        self.case.onOpen()

    def onMessage(self, payload, isBinary):
        # The cases of compression have been ported: theirs are bytes.
        isPorted = hasattr(self.case, "TESTDATA")
        self.case.onMessage(payload if isPorted else decoded(payload), isBinary)

    def onPong(self, payload):
        self.case.onPong(decoded(payload))

    def connectionLost(self, reason):
        super().connectionLost(reason)
        self.case.onConnectionLost(self.failedByMe)


for name in ("sendFrame sendMessage sendMessageFrame sendMessageFrameData "
             "sendCloseFrame").split():
    setattr(Client, name, encoding(getattr(Client, name)))


class Factory(websocket.WebSocketClientFactory):
    """Runs one case after the other."""

    def __init__(self, url, cases):
        super().__init__(url)
        self.setProtocolOptions(
            failByDrop=False,
            openHandshakeTimeout=PATIENCE_SECONDS,
            closeHandshakeTimeout=PATIENCE_SECONDS,
            serverConnectionDropTimeout=PATIENCE_SECONDS)
        self.cases = list(cases.items())

    def buildProtocol(self, address):
        self.client = Client.__new__(Client)
        self.client.factory = self
        self.client.__init__(self.cases[0][1])
        return self.client

    def clientConnectionLost(self, connector, reason):
        case = self.client.case
        print(json.dumps([self.cases.pop(0)[0], case.behavior,
                          case.behaviorClose, case.result, case.resultClose]),
              flush=True)
        connector.connect() if self.cases else reactor.stop()

    def clientConnectionFailed(self, connector, reason):
        print(reason.getErrorMessage(), file=sys.stderr)
        reactor.stop()


def main(url, messages, *chapters):
    cases = {name: case for name, case in load().items()
             if name.split(".")[0] in chapters}
    for case in cases.values():
        if hasattr(case, "TESTDATA"):
            case.COUNT = int(messages)
    websocket.connectWS(Factory(url, cases))
    reactor.run()


main(*sys.argv[1:])
