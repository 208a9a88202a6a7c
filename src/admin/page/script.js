'use strict';
(() => {
  const parts = ['verdict', 'result', 'live', 'names', 'declined', 'coverage', 'sources', 'views', 'upstreams', 'traffic', 'changes', 'config'];
  const lost = document.getElementById('lost');
  const told = document.getElementById('told');
  let asking = null;
  // As all other times of the page.
  const clock = () => new Date().toISOString().slice(11, 19) + ' UTC';

  // Who comes again, or hands the address on, asks nothing by it.
  const plain = new URL(location.href);
  if (plain.searchParams.has('live')) {
    plain.searchParams.delete('live');
    history.replaceState(null, '', plain);
  }

  // Takes over the parts of the page as it is now; `by` is the form that asked, if one did. What a person
  // reads or holds stays.
  const show = (text, by) => {
    const now = new DOMParser().parseFromString(text, 'text/html');
    for (const id of parts) {
      const old = document.getElementById(id), next = now.getElementById(id);
      if (!old || !next || old.innerHTML === next.innerHTML) continue;
      const held = old.contains(document.activeElement) || !getSelection().isCollapsed;
      if (held && !by && id !== 'verdict') continue;
      if (id === 'live' && by !== 'explain') continue;
      old.querySelectorAll('details[id]').forEach((it) => {
        const same = next.querySelector('#' + CSS.escape(it.id));
        if (same) same.open = it.open;
      });
      old.className = next.className;
      // A reader is told of another verdict, and not of each second.
      const said = old.querySelector('[role=status]'), says = next.querySelector('[role=status]');
      if (said && says) {
        if (said.innerHTML !== says.innerHTML) said.innerHTML = says.innerHTML;
        while (said.nextSibling) said.nextSibling.remove();
        while (says.nextSibling) old.append(says.nextSibling);
      } else {
        old.replaceChildren(...next.childNodes);
      }
    }
    document.title = now.title;
  };

  const load = async (url, by) => {
    asking?.abort();
    const mine = asking = new AbortController();
    try {
      // One that hangs has not answered either.
      const signal = AbortSignal.any([mine.signal, AbortSignal.timeout(10000)]);
      const answer = await fetch(url, { signal, cache: 'no-store' });
      if (!answer.ok) throw new Error(answer.status);
      show(await answer.text(), by);
      lost.hidden = true;
      told.textContent = 'Updates itself; last at ' + clock() + '.';
      return true;
    } catch (error) {
      if (mine.signal.aborted) return false;
      if (lost.hidden) lost.textContent = 'hubdns has not answered this page since ' +
        clock() + '. What you see is older.';
      lost.hidden = false;
      return false;
    } finally {
      if (asking === mine) asking = null;
    }
  };

  // What the other form has asked for stays asked for.
  const address = (form) => {
    const fields = new URLSearchParams(location.search);
    for (const list of ['names', 'declined', 'leaks']) fields.delete(list);
    for (const { name, type, value } of form.elements) {
      if (!name || type === 'hidden') continue;
      value ? fields.set(name, value) : fields.delete(name);
    }
    return '/?' + fields;
  };

  // An answer by DNS may take seconds, so what is explained is shown before it.
  const ask = async (word) => {
    const there = document.getElementById('live'), before = [...there.childNodes];
    if (!before.length) return;
    there.textContent = 'Asking by DNS…';
    const fields = new URLSearchParams(location.search);
    fields.set('live', word);
    if (!await load('/?' + fields, 'explain')) there.replaceChildren(...before);
    const at = document.getElementById('asked-at');
    if (at) at.textContent = 'Asked at ' + clock() + '.';
  };

  addEventListener('submit', async (event) => {
    const form = event.target, { part } = form.dataset, word = form.elements.live?.value;
    event.preventDefault();
    const again = form.closest('#live'), there = address(form) + '#' + part;
    if (!again) history.pushState(null, '', there);
    if (!again) await load(location.href, part);
    if (part === 'explain') document.getElementById(again ? 'live' : 'result').focus();
    if (word) await ask(word);
  });
  let typed;
  document.getElementById('q')?.addEventListener('input', (event) => {
    clearTimeout(typed);
    typed = setTimeout(() => {
      history.replaceState(null, '', address(event.target.form) + '#names');
      load(location.href, 'answered');
    }, 200);
  });
  addEventListener('popstate', () => load(location.href, 'explain'));
  setInterval(() => document.hidden || asking || load(location.href), 5000);
})();
