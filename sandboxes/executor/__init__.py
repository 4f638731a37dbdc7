"""The small server that runs inside a sandbox and gives out its slots. It is shipped there as one zip file.

What lies here needs Python 3.10, Linux, bash and bubblewrap, and nothing else: no library, no other room.
"""
