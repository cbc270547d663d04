"""Laptop: keys, rules, policy, server and worker of one person on one machine, by one command.

```
command    `governance up`, and what it prints
running    server and worker from their start until Ctrl-C
telling    what the person at the terminal is told
readiness  whether the policy can be used, and what to do about it
processes  a server or a worker as a process: started, watched, and ended with all that it started
folder     keys, rules and policy: made all at once, or found as they were left
```
"""
