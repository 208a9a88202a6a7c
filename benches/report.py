from measure import median
def cpu(figures):
    out=[]
    for key, row in figures.items():
        for name, f in row.items():
            out.append(f"{key:8} {name:14} echoes {median(f.over_echo(lambda t: t.micros)):.2f} us {median(f.of(lambda t:t.micros)):.2f} rate {median(f.over_echo(lambda t:t.rate)):.2f} {median(f.of(lambda t:t.rate)):.0f} busy {median(f.of(lambda t:t.busy)):.2f} wrong {sum(f.of(lambda t:t.told['wrong'])):.0f}")
    return "\n".join(out)
