// Looks at the page as a person does, with a real Chromium. Run by tests/page/main.rs:
//   node browser.js CASE ORIGIN FOLDER [EXPECTED]
// What is wrong is thrown. Screenshots are left in FOLDER, whoever wants to look.
'use strict';
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { chromium } = require('playwright-core');

const [kind, origin, folder, expected] = process.argv.slice(2);
const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
// Chromium looks for Google's hosts at each start unless it is told not to.
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const SQS = 'sqs.eu-west-1.amazonaws.com';

// A page on which nothing may be refused, fail, or come from elsewhere.
async function open(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.ills = [];
  page.on('console', (line) => ['error', 'warning'].includes(line.type()) && page.ills.push(line.text()));
  page.on('pageerror', (error) => page.ills.push(String(error)));
  page.on('request', (request) => {
    const there = new URL(request.url());
    if (there.protocol !== 'data:' && there.origin !== origin) page.ills.push('asked ' + request.url());
    if (request.method() !== 'GET') page.ills.push(request.method() + ' ' + request.url());
  });
  await page.goto(origin + url, { waitUntil: 'load' });
  return page;
}

async function close(page) {
  assert.deepEqual(page.ills, []);
  await page.context().close();
}

// Its own script is kept out by the page's policy, so it comes by the debugger's way.
async function accessible(page, what) {
  await page.evaluate(axe + ';0');
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  const told = found.violations.map((it) => `${it.id}: ${it.nodes.map((node) => node.html).join('\n    ')}`);
  assert.deepEqual(told, [], what);
  assert.ok(found.passes.length > 15, 'axe looked at the page');
}

const shot = (page, name) =>
  page.screenshot({ path: path.join(folder, name + '.png'), fullPage: true });

const steps = async (page) =>
  (await page.locator('#result ol.steps li').allTextContents()).map((text) => text.trim());

const live = async (page) => (await page.locator('#live').innerText()).replace(/\s+/g, ' ').trim();

const cases = {
  async looks(browser) {
    const query = `/?name=${SQS}&from=10.0.1.7`;
    for (const [width, colorScheme] of
      [[1280, 'light'], [1280, 'dark'], [768, 'light'], [320, 'light'], [320, 'dark']]) {
      const page = await open(browser, query, { colorScheme, viewport: { width, height: 900 } });
      await page.getByRole('button', { name: 'Ask now' }).click();
      await page.getByRole('button', { name: 'Ask again' }).waitFor();
      const [needs, has] = await page.evaluate(() =>
        [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
      assert.ok(needs <= has, `${needs} of ${has} pixels`);
      if (width === 320) {
        // What stands in a cell, and its column's name beside it, is whole and in nobody's way.
        const cut = await page.evaluate(() => [...document.querySelectorAll('td')]
          .filter((it) => it.clientHeight && (it.clientWidth < it.scrollWidth || it.clientHeight < it.scrollHeight))
          .map((it) => it.innerText));
        assert.deepEqual(cut, []);
      }
      await accessible(page, `${colorScheme}, ${width} pixels`);
      await shot(page, `${colorScheme}-${width}`);
      await close(page);
    }
    const page = await open(browser, '/', { forcedColors: 'active' });
    await shot(page, 'forced-colors');
    await close(page);
  },

  async explains(browser) {
    const command = JSON.parse(expected);
    const page = await open(browser, '/');
    await page.getByLabel('Name', { exact: true }).fill(command.name);
    await page.getByLabel('Client address').fill(command.client);
    await page.getByLabel('Listener').fill(command.listener);
    await page.evaluate(() => { globalThis.here = true; });
    await page.getByRole('button', { name: 'Explain' }).click();
    await page.locator('#result ol.steps').waitFor();
    assert.ok(await page.evaluate(() => globalThis.here), 'without a reload');
    const said = command.steps.map((it) => `${it.about} ${it.text}`);
    assert.deepEqual(await steps(page), said);
    const given = await page.locator('#result tbody th').allInnerTexts();
    assert.deepEqual(given, command.given.map((it) => it.ip));
    // And hubdns was asked, without a word of it in the address, and is told apart from the steps.
    await page.locator('#asked-at').waitFor();
    assert.equal(command.live.agrees, true);
    assert.ok((await live(page)).startsWith(`Asked by DNS: agrees: ${command.live.what}.`), await live(page));
    assert.ok(!page.url().includes('live='), page.url());
    // The address of the page now, and the link to it, lead to the same.
    const link = new URL(await page.getByRole('link', { name: 'Link to this' }).getAttribute('href'), origin);
    for (const there of [page.url(), link.href]) {
      const again = await open(browser, there.slice(origin.length));
      assert.deepEqual(await steps(again), said);
      assert.match(await live(again), /^Not asked by DNS yet\./);
      await again.getByRole('button', { name: 'Ask now' }).click();
      await again.locator('#asked-at').waitFor();
      assert.match(await live(again), /^Asked by DNS: agrees/);
      assert.equal(again.url(), there, 'the address stays a link');
      await close(again);
    }
    // What was answered stays when the page brings itself up to date.
    const updated = await page.locator('#told').innerText();
    await page.waitForFunction((before) => document.getElementById('told').innerText !== before, updated);
    assert.match(await live(page), /^Asked by DNS: agrees/);
    // Back is where nothing was asked.
    await page.goBack();
    await page.locator('#result ol.steps').waitFor({ state: 'detached' });
    await close(page);
    const wrong = await open(browser, '/?name=a..b');
    assert.match(await wrong.locator('#result').innerText(), /Not explained.*empty label/);
    await close(wrong);
  },

  async scriptless(browser) {
    const page = await open(browser, '/', { javaScriptEnabled: false });
    await page.getByLabel('Name', { exact: true }).fill(SQS);
    await page.getByRole('button', { name: 'Explain' }).click();
    await page.locator('#result ol.steps').waitFor();
    assert.ok((await steps(page)).length > 3);
    assert.match(await live(page), /^Asked by DNS: agrees: .* answers that: NOERROR with 10\./);
    await page.getByRole('link', { name: 'Link to this' }).click();
    assert.match(await live(page), /^Not asked by DNS yet\./, 'a link asks nothing');
    await page.getByRole('button', { name: 'Ask now' }).click();
    assert.match(await live(page), /^Asked by DNS: agrees/);
    const rows = page.locator('#names tbody tr');
    const all = await rows.count();
    await page.getByLabel(/^Find/).fill('sqs');
    await page.getByRole('button', { name: 'Find' }).click();
    await page.waitForURL(/q=sqs/);
    const found = await rows.count();
    assert.ok(0 < found && found < all, `${found} of ${all}`);
    assert.ok((await steps(page)).length > 3, 'what was explained stays');
    await page.locator('#values summary, #toml summary').last().click();
    assert.match(await page.locator('#toml pre').innerText(), /\[answers\]/);
    await close(page);
  },

  async keyboard(browser) {
    const page = await open(browser, '/');
    const focus = () => page.evaluate(() => {
      const it = document.activeElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(it);
      return { tag: it.tagName, text: it.name || it.id || it.innerText.slice(0, 30), href: it.getAttribute('href'),
        seen: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2 };
    });
    await page.keyboard.press('Tab');
    assert.equal((await focus()).href, '#explain', 'the first is the way past the head');
    await page.keyboard.press('Enter');
    const names = [];
    for (let at = 0; at < 60; at += 1) {
      await page.keyboard.press('Tab');
      const here = await focus();
      if (here.tag === 'BODY') break;
      assert.ok(here.seen, `the focus is seen on ${JSON.stringify(here)}`);
      names.push(here.text);
    }
    for (const wanted of ['name', 'type', 'from', 'listener', 'q', 'view'])
      assert.ok(names.includes(wanted), `${wanted} is reached: ${names}`);
    await page.locator('input[name=name]').focus();
    await page.keyboard.type(SQS);
    await page.keyboard.press('Enter');
    await page.locator('#result ol.steps').waitFor();
    assert.equal((await focus()).text, 'result', 'the answer has the focus');
    await page.locator('#asked-at').waitFor();
    for (let at = 0; at < 9 && (await focus()).text !== 'Ask again'; at += 1)
      await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.activeElement.id === 'live');
    await page.locator('#live:has-text("agrees")').waitFor();
    await page.locator('#q').focus();
    await page.keyboard.type('kms');
    await page.waitForURL(/q=kms/);
    await page.waitForFunction(() => document.querySelectorAll('#names tbody tr').length < 20);
    assert.equal((await focus()).text, 'q', 'who types goes on typing');
    await close(page);
  },

  // Looks while addresses fall silent and come back, and a zone is drained.
  async states(browser) {
    const page = await open(browser, '/?name=' + SQS);
    // The word and the shape of an address, without script as with it.
    const is = async (ip, word, shape) => {
      const eni = page.locator('#names .eni', { has: page.getByText(ip, { exact: true }) });
      await eni.filter({ hasText: new RegExp(`^${word}${ip}`) }).waitFor();
      assert.equal(await eni.locator('use').getAttribute('href'), '#' + shape, word);
    };
    const verdict = async (text) => page.locator(`#verdict [role=status]:has-text("${text}")`).waitFor();
    const seen = async (text, name) => {
      await accessible(page, text);
      if (name) await shot(page, name);
      console.log(text);
    };
    for (const ip of ['127.0.79.1', '127.0.79.2', '127.0.79.3']) await is(ip, 'up', 's-good');
    assert.equal(await page.locator('#verdict strong').innerText(), 'Ready');
    await seen('all up');
    await is('127.0.79.2', 'down', 's-bad');
    await is('127.0.79.1', 'up', 's-good');
    await verdict('Ready, with problems');
    await verdict('Left out, for not answering probes: 127.0.79.2 of vpce-');
    await seen('one down', 'one-down');
    for (const ip of ['127.0.79.1', '127.0.79.2']) await is(ip, 'down, given', 's-doubt');
    await verdict('No address answers probes, so all are given: vpce-');
    await seen('both down', 'both-down');
    for (const ip of ['127.0.79.1', '127.0.79.2']) await is(ip, 'up', 's-good');
    await page.waitForFunction(() => document.querySelector('#verdict strong').innerText === 'Ready');
    await seen('up again');
    await is('127.0.79.1', 'drained', 's-out');
    await is('127.0.79.2', 'up', 's-good');
    await is('127.0.79.3', 'drained, given', 's-doubt');
    await verdict('Zone euw1-az1 is drained since');
    await seen('drained', 'drained');
    // What is explained followed it, without another question.
    assert.deepEqual(await page.locator('#result tbody th').allInnerTexts(), ['127.0.79.2']);
    await close(page);
  },

  // Says when it looks, and looks until discovery fails and works again.
  async verdict(browser) {
    const page = await open(browser, '/');
    const status = page.locator('#verdict [role=status]');
    assert.match(await status.innerText(), /^Ready$/m);
    console.log('looking');
    await page.locator('#verdict [role=status]:has-text("Ready, with problems")').waitFor();
    assert.match(await status.innerText(), /Discovery fails: source hub: .*DescribeVpcEndpoints/);
    assert.match(await page.title(), /^Ready, with problems/);
    await page.locator('#sources:has-text("Missing IAM action: ec2:DescribeVpcEndpoints")').waitFor();
    await accessible(page, 'while discovery fails');
    await shot(page, 'discovery-fails');
    console.log('seen');
    await page.waitForFunction(() => document.querySelector('#verdict strong').innerText === 'Ready');
    console.log('back');
    await page.locator('#verdict [role=status]:has-text("Discovery fails: source hub")').waitFor();
    assert.match(await page.locator('#verdict strong').innerText(), /^Ready, with problems$/);
    await shot(page, 'aws-gone');
    console.log('gone');
    // And when nobody answers at all, as one that hangs, the page says that it is old.
    await page.locator('#lost:not([hidden])').waitFor();
    assert.match(await page.locator('#lost').innerText(), /has not answered this page/);
    page.ills = page.ills.filter((ill) => !/Failed to load resource|ERR_CONNECTION/.test(ill));
    await close(page);
  },
};

(async () => {
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: flags });
  try {
    for (const name of kind.split(',')) {
      await cases[name](browser);
      console.log(`${name}: as it should be`);
    }
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
