"""ISO 4217: how many decimals each currency has.

Source: ISO 4217 List One ("current currency and funds code list"), published 2026-01-01 by SIX, the standard's maintenance agency. Codes
without decimals of their own in that list (metals, units of account, the code for tests) have no row: nothing is known of their smallest
unit. Codes that left the list since 2023 are kept, since orders of that time are still read. A test holds the table against the `iso4217`
package, which carries the list itself.
"""

from __future__ import annotations

from typing import Final

_DECIMALS: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: """
        AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP
        CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD
        KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR
        PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU
        UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG
    """,
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
WITHDRAWN: Final = frozenset({"ANG", "BGN", "CUC", "HRK", "SLL", "ZWL"})

# Decimals of the smallest unit, by code: {"GBP": 2, "JPY": 0, …}.
MINOR_UNITS: Final[dict[str, int]] = {
    **{code: decimals for decimals, codes in _DECIMALS.items() for code in codes.split()},
    **dict.fromkeys(WITHDRAWN, 2),
}
