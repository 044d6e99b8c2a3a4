"""Chapter 6 of the thesis with merge requests: from `git push` to a served answer, in six roles, on one machine.

`people` act, in git and on the forge's pages; `platform` is what works for them; `project` is what they work on;
`turns` are what happens between a push and its end; `clock` says how long it took, and whose time it was.
"""
