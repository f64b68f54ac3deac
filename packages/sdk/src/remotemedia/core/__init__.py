"""The contracts of RemoteMedia: nodes, the data between them, and plugin registration.

Nothing is imported here: a plugin's entry point module needs `remotemedia.core.plugin`
alone and must not pay for numpy.
"""
