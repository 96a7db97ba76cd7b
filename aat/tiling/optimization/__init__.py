"""How are tiles chosen by measuring?"""
