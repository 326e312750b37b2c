// node lookup.js NAME [4|6]: as gai.c, with Node's dns.lookup.
const dns = require('dns');
const [name, family] = process.argv.slice(2);
dns.lookup(name, { all: true, family: Number(family || 0) }, (err, list) => {
  if (!err) list.forEach((a) => console.log(a.address));
  else console.log({ ENOTFOUND: 'notfound', EAI_AGAIN: 'again' }[err.code] || 'failed ' + err.code);
});
