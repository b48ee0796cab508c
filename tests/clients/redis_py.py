"""Uses the delivered commands through redis-py, in RESP2 and RESP3.

usage: redis_py.py PORT [CA CERTIFICATE KEY]: with files it speaks TLS, and looks at the server's name
"""

import sys
import time

import redis


def check(condition, what):
    if not condition:
        raise SystemExit(f"failed: {what}")


def strings(r):
    check(r.set("a", "1") is True, "SET")
    check(r.get("a") == "1", "GET")
    check(r.set("a", "2", nx=True) is None, "SET NX")
    check(r.set("a", "2", xx=True, get=True) == "1", "SET XX GET")
    check(r.set("t", "x", ex=100) and 90 <= r.ttl("t") <= 100, "SET EX")
    check(r.set("t", "y", keepttl=True) and r.ttl("t") > 0, "SET KEEPTTL")
    check(r.getex("t", persist=True) == "y" and r.ttl("t") == -1, "GETEX PERSIST")
    check(r.getset("a", "3") == "2" and r.getdel("a") == "3", "GETSET GETDEL")
    check(r.mset({"m1": "1", "m2": "2"}) and r.mget("m1", "m2", "m3") == ["1", "2", None], "MSET MGET")
    check(r.msetnx({"m1": "x", "m9": "y"}) is False, "MSETNX")
    check(r.incr("n") == 1 and r.incrby("n", 10) == 11 and r.decrby("n", 5) == 6, "INCR DECR")
    check(r.incrbyfloat("f", 1.5) == 1.5, "INCRBYFLOAT")
    check(r.append("s", "Hello") == 5 and r.setrange("s", 5, "!") == 6, "APPEND SETRANGE")
    check(r.getrange("s", 1, 3) == "ell" and r.strlen("s") == 6, "GETRANGE STRLEN")
    check(r.setnx("s", "x") is False and r.setex("e", 100, "x") and r.psetex("e", 100000, "x"), "SETNX SETEX")
    check(r.lcs("s", "s") == "Hello!", "LCS")


def keys(r):
    r.mset({"k:1": 1, "k:2": 2, "k:3": 3})
    check(r.exists("k:1", "k:2", "nope") == 2 and r.type("k:1") == "string", "EXISTS TYPE")
    check(sorted(r.keys("k:*")) == ["k:1", "k:2", "k:3"], "KEYS")
    check(sorted(r.scan_iter("k:*", count=1)) == ["k:1", "k:2", "k:3"], "SCAN")
    check(r.expire("k:1", 100) and r.expire("k:1", 50, gt=True) is False, "EXPIRE GT")
    check(r.pexpireat("k:1", int(time.time() * 1000) + 100_000) and r.pttl("k:1") > 90_000, "PEXPIREAT")
    check(r.expiretime("k:1") > time.time() and r.persist("k:1"), "EXPIRETIME PERSIST")
    check(r.rename("k:1", "k:9") and r.renamenx("k:9", "k:2") is False, "RENAME")
    check(r.copy("k:2", "k:5") and r.copy("k:2", "k:5") is False, "COPY")
    check(r.touch("k:2", "k:3") == 2 and r.unlink("k:2") == 1 and r.delete("k:3") == 1, "TOUCH DEL")
    check(r.object("encoding", "k:9") in ("int", "embstr", "raw"), "OBJECT")
    check(r.randomkey() is not None and r.dbsize() > 0, "RANDOMKEY DBSIZE")
    check(r.move("k:9", 1) and r.exists("k:9") == 0, "MOVE")


def transactions(r):
    with r.pipeline() as pipe:
        pipe.multi()
        pipe.set("tx", 1).incr("tx").get("tx")
        check(pipe.execute() == [True, 2, "2"], "MULTI EXEC")
    with r.pipeline() as pipe:
        pipe.watch("tx")
        r.set("tx", "changed")
        pipe.multi()
        pipe.get("tx")
        try:
            pipe.execute()
        except redis.WatchError:
            pass
        else:
            check(False, "WATCH")
    plain = r.pipeline(transaction=False)
    for i in range(1000):
        plain.set(f"p:{i}", i)
    check(all(plain.execute()), "a pipeline of 1000")


def server(r):
    check(r.ping() and r.echo("hi") == "hi" and len(r.time()) == 2, "PING ECHO TIME")
    check(r.client_setname("me") and r.client_getname() == "me" and r.client_id() > 0, "CLIENT")
    check(any(c["name"] == "me" for c in r.client_list()), "CLIENT LIST")
    check(r.client_info()["name"] == "me", "CLIENT INFO")
    check(r.config_get("maxmemory") == {"maxmemory": "0"}, "CONFIG GET")
    check(r.config_set("timeout", 0) and r.config_resetstat(), "CONFIG SET")
    info = r.info()
    check(info["role"] == "master" and "used_memory" in info and "db0" in info, "INFO")
    check(r.command_count() > 50 and "get" in r.command(), "COMMAND")
    check(r.command_getkeys("MSET", "a", 1, "b", 2) == ["a", "b"], "COMMAND GETKEYS")
    try:
        r.execute_command("NOSUCH")
    except redis.ResponseError as error:
        check("unknown command" in str(error), "an unknown command")


def main():
    files = sys.argv[2:]
    tls = {}
    if files:
        names = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
        tls = {"ssl": True, "ssl_check_hostname": True, **dict(zip(names, files))}
    for protocol in (2, 3):
        r = redis.Redis(port=int(sys.argv[1]), protocol=protocol, decode_responses=True, **tls)
        r.flushall()
        for part in (strings, keys, transactions, server):
            part(r)
        check(r.flushdb() and r.dbsize() == 0, "FLUSHDB")
    print("all checks pass")


main()
