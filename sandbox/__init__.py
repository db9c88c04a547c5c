"""The sandbox: real node software and a ledger on loopback, with two month-ends of history. Never imported by plugins/."""
