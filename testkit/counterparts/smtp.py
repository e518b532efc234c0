"""A mail server on loopback that keeps what it gets, refuses on request, and shows everything over HTTP.

usage: smtp.py <smtpPort> <httpPort>, through run.sh (same first line, ends when standard input closes).
The local part of a recipient decides: reject550@, later451@, drop@ (closes the connection), slow@ (5 s).
AUTH is offered but not demanded; only USER with PASSWORD passes. HTTP: GET / lists, DELETE / empties.
Invariant: a mail that was answered with 250 is in the list.
"""

import asyncio
import email
import email.policy
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

USER, PASSWORD = "mailer", "mail-secret"
SLOW_SECONDS = 5
# A test that sends more than this has gone wrong; the oldest go first.
KEPT_MAX = 1000

box = []


def content(part):
    """The part's text with plain line ends, whatever the sender used."""
    return part.get_content().replace("\r\n", "\n") if part else None


class Mailbox:
    async def handle_RCPT(self, server, session, envelope, address, options):
        local = address.split("@")[0]
        if local == "reject550":
            return "550 5.1.1 no such user"
        if local == "later451":
            return "451 4.7.1 greylisted, try later"
        if local == "drop":
            server.transport.abort()
            return "421 4.3.2 closing"
        if local == "slow":
            await asyncio.sleep(SLOW_SECONDS)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        text, html = mail.get_body(("plain",)), mail.get_body(("html",))
        box.append({
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "signed_in": bool(session.authenticated),
            "headers": {name.lower(): str(value) for name, value in mail.items()},
            "text": content(text),
            "html": content(html),
            "source": envelope.content.decode("utf-8", "replace"),
        })
        del box[:-KEPT_MAX]
        return "250 2.0.0 OK"


class View(BaseHTTPRequestHandler):
    def log_message(self, *ignored):
        pass

    def answer(self):
        body = json.dumps(box).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer()

    def do_DELETE(self):
        box.clear()
        self.answer()


def main():
    try:
        from aiosmtpd.controller import Controller
        from aiosmtpd.smtp import AuthResult

        def sign_in(server, session, envelope, mechanism, data):
            good = (getattr(data, "login", None), getattr(data, "password", None)) == (USER.encode(), PASSWORD.encode())
            return AuthResult(success=good, handled=False)

        smtp_port, http_port = int(sys.argv[1]), int(sys.argv[2])
        mail = Controller(Mailbox(), hostname="127.0.0.1", port=smtp_port, authenticator=sign_in, auth_require_tls=False)
        mail.start()
        view = ThreadingHTTPServer(("127.0.0.1", http_port), View)
    except Exception as error:
        print("FAILED", type(error).__name__, str(error).replace("\n", " "), flush=True)
        os._exit(1)
    threading.Thread(target=view.serve_forever, daemon=True).start()
    print(f"READY host=127.0.0.1 port={smtp_port} http=http://127.0.0.1:{http_port} user={USER} password={PASSWORD}", flush=True)
    for _ in sys.stdin:
        print("ERROR smtp takes no commands", flush=True)
    os._exit(0)


main()
