# SPDX-License-Identifier: Apache-2.0
"""The laboratory of ./dev bench: sides (barid and its peers), drivers, measures, and the page of results."""
