"""Exercises that know what one did wrong: a folder with a small file for each, and a check that names the mistake.

Read ``exercise.py`` for what an exercise is, ``tasks/`` for the thirteen of them with their mistakes, ``judge.py``
for how an answer is judged, and ``check.py`` for how the files of a folder are run, each in a process of its own.
"""
