"""Policies that ship with Ebbtide."""
