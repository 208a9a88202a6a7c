'use strict';
(() => {
  const live = ['verdict', 'result', 'names', 'declined', 'coverage', 'sources', 'views', 'upstreams', 'traffic', 'changes', 'config'];
  const lost = document.getElementById('lost');
  const told = document.getElementById('told');
  let asking = null;

  // Takes over the parts of the page as it is now. What a person reads or holds stays.
  const show = (text, all) => {
    const now = new DOMParser().parseFromString(text, 'text/html');
    for (const id of live) {
      const old = document.getElementById(id), next = now.getElementById(id);
      if (!old || !next || old.innerHTML === next.innerHTML) continue;
      const held = old.contains(document.activeElement) || !getSelection().isCollapsed;
      if (held && !all && id !== 'verdict') continue;
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

  const load = async (url, all) => {
    asking?.abort();
    const mine = asking = new AbortController();
    try {
      const answer = await fetch(url, { signal: mine.signal, cache: 'no-store' });
      if (!answer.ok) throw new Error(answer.status);
      show(await answer.text(), all);
      lost.hidden = true;
      told.textContent = 'Updates itself; last at ' + new Date().toLocaleTimeString() + '.';
    } catch (error) {
      if (mine.signal.aborted) return;
      if (lost.hidden) lost.textContent = 'hubdns has not answered this page since ' +
        new Date().toLocaleTimeString() + '. What you see is older.';
      lost.hidden = false;
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

  addEventListener('submit', async (event) => {
    const form = event.target;
    event.preventDefault();
    history.pushState(null, '', address(form) + '#' + form.dataset.part);
    await load(location.href, true);
    if (form.dataset.part === 'explain') document.getElementById('result').focus();
  });
  let typed;
  document.getElementById('q')?.addEventListener('input', (event) => {
    clearTimeout(typed);
    typed = setTimeout(() => {
      history.replaceState(null, '', address(event.target.form) + '#names');
      load(location.href, true);
    }, 200);
  });
  addEventListener('popstate', () => load(location.href, true));
  setInterval(() => document.hidden || asking || load(location.href, false), 5000);
})();
