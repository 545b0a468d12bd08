"""The assets of the simulated market: real majors under their real names, and as many made-up ones as are asked for."""

from collections.abc import Iterator
from itertools import count

from marketdata.simulator.market import Asset

_COIN, _STABLE, _SHARE, _METAL = 0.045, 0.0004, 0.022, 0.012

_COINS = (
    "BTC 64000 ETH 2900 XRP 1.1 BCH 420 LTC 88 EOS 0.75 TRX 0.19 ETC 22 LINK 15 XLM 0.22 ADA 0.55 XMR 190 DASH 31"
    " ZEC 48 XTZ 0.9 BNB 590 ATOM 6.4 ONT 0.21 NEO 12 SOL 145 DOT 6.1 AVAX 28 UNI 8.2 DOGE 0.17 AAVE 160 FIL 4.8"
    " NEAR 4.4 ALGO 0.19 SAND 0.35 MANA 0.38 AXS 5.6 CRV 0.52 MKR 1700 SNX 1.9 COMP 55 YFI 6100 SUSHI 0.95"
    " 1INCH 0.33 KSM 24 GRT 0.2 CHZ 0.08 ENJ 0.18 THETA 1.3 VET 0.029 ICP 9.1 HBAR 0.11 APE 1.1 APT 8.5 ARB 0.7"
    " OP 1.6 SUI 2.3 TIA 5.2 INJ 21 SEI 0.38 PYTH 0.33 JUP 0.8 WLD 2.1 STX 1.7 RUNE 4.6 LDO 1.4 DYDX 1.2 GMX 27"
    " FET 1.2 IMX 1.4 ENA 0.6 ONDO 0.8 TAO 420 HYPE 28 PURR 0.18 W 0.25 S 0.5 ME 1.2 IP 4.0 0G 2.4 2Z 0.3"
    " PAXG 2650 MATIC 0.55 FTM 0.6 IDOL 0.03 4 0.09 X 0.00006 SHIB 0.000018 PEPE 0.0000095 BONK 0.000021"
    " FLOKI 0.00014 LUNC 0.00009 XEC 0.00003 SATS 0.00000022 CAT 0.0000089 RATS 0.00007 MOG 0.0000014"
    " BABYDOGE 0.0000000021 BOB 0.00000007 WHY 0.0000001 CHEEMS 0.0000012 DOGS 0.00045 NEIRO 0.0009 BTCST 5.5"
    " DEFI 780 BTCDOM 3900 币安人生 0.15 我踏马来了 0.02 哈基米 0.03 龙虾 0.05 修仙 0.01 WBTC 64000 CBETH 3100"
    " UBTC 64000 UETH 2900 USOL 145 UPUMP 0.004 HFUN 20 JEFF 2.0 ENS 22"
)
_SHARES = (
    "TSLA 310 NVDA 138 AAPL 226 AMZN 195 COIN 240 MSTR 330 HOOD 41 INTC 23 GOOGL 172 META 580 MSFT 420 PLTR 60"
    " ORCL 165 CRCL 110 XYZ100 21000 MAG7 240 OPENAI 500 ANTHROPIC 300 SPACEX 410 STRIPE 35 MU 105 AMD 140"
    " NFLX 760 SKHX 130 SMSN 42 USTECH 21000 SMALL2000 2200 HYNIX 130 TENCENT 52 MOUTAI 210 TLT 93 US500 5800"
    " BABA 95 CSI300 540 EUR 1.09 GBP 1.27 JPY 0.0066"
)
_METALS = "XAU 2650 XAG 31 GOLD 2650 SILVER 31 COPPER 4.3 CL 71 NATGAS 2.9 XPT 990 XPD 1010"
_STABLES = "USD 1 USDT 1 USDC 1 BUSD 1 FDUSD 1 DAI 1 USDE 1 USDH 1 USDT0 1 PYUSD 1 EURC 1.09"

_ONSETS, _VOWELS, _CODAS = "BDFGHJKLMNPRSTVWZ", "AEIOU", "BDGKLMNPRSTXZ"


def real_assets() -> dict[str, Asset]:
    """The assets with real names, by name."""
    swings = ((_COINS, _COIN), (_SHARES, _SHARE), (_METALS, _METAL), (_STABLES, _STABLE))
    return {
        name: Asset(name, float(dollars), swing)
        for table, swing in swings
        for name, dollars in zip(table.split()[::2], table.split()[1::2], strict=True)
    }


def invented_assets(seed: int, taken: frozenset[str]) -> Iterator[Asset]:
    """Coins that nobody has issued, without end, each once; none is called as something in `taken`."""
    seen = set(taken)
    for number in count():
        turn, form = divmod(number, 3)
        spread = turn * 7919 + seed * 37
        name = (
            _pairs(spread // len(_CODAS), 1) + _CODAS[spread % len(_CODAS)] if form == 0 else _pairs(spread, 1 + form)
        )
        if name not in seen:
            seen.add(name)
            yield Asset(name, (113 + spread * 31 % 877) / 10 ** (spread % 6), 0.05 + spread % 7 / 250)


def _pairs(number: int, pairs: int) -> str:
    """A consonant and a vowel, so many times."""
    text = ""
    for _ in range(pairs):
        number, vowel = divmod(number, len(_VOWELS))
        number, onset = divmod(number, len(_ONSETS))
        text += _ONSETS[onset] + _VOWELS[vowel]
    return text
