import sys


class Account:
    def __init__(self, name):
        self.name, self.total, self.log = name, 0, []

    def book(self, amount):
        self.total += amount
        self.log.append((amount, len(self.log)))


def primes(limit):
    sieve = bytearray([1]) * limit
    for n in range(2, int(limit**0.5) + 1):
        if sieve[n]:
            sieve[n * n :: n] = bytes(len(range(n * n, limit, n)))
    return [n for n in range(2, limit) if sieve[n]]


scale = int(sys.argv[1])
accounts = {}
seed = 10
for i in range(scale * 1000):
    seed = (seed * 1664525 + 1013904223) % 2**32
    name = "account%d" % (seed >> 20)
    if name not in accounts:
        accounts[name] = Account(name)
    accounts[name].book(seed % 1000 - i % 500)
richest = sorted(accounts.values(), key=lambda a: (-a.total, a.name))[:5]
print([(a.name, a.total, max(a.log)) for a in richest])
print(sum(primes(scale * 3000)))
text = " ".join(a.name + "=" + str(a.total) for a in accounts.values())
print(len({word[:9]: word.split("=")[1] for word in text.split()}), 3 ** (scale * 20) % 1000007)
